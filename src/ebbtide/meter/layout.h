// SPDX-License-Identifier: Apache-2.0
//
// What the programs of meter.bpf.c and the meter share: rows, reasons, news and the maps that hold them.

#pragma once

#define AF_INET 2
#define AF_INET6 10
#define TCP 6
#define UDP 17
#define LOOPBACK_IFINDEX 1 // "lo" is the first interface of every network namespace
#define DNS_PORT 53
#define DNS_BYTES 1024 // longer answers are cut: the parser takes what is whole
#define NAME_LEN 16

enum opener { OPENER_UNKNOWN, OPENER_LOCAL, OPENER_REMOTE };

// Kept in step with `flow.Reason`.
enum reason {
	REASON_FOLDED,	     // no room for a new destination: counted under the process, destination "other"
	REASON_MAP_FULL,     // no room for the process either: in no row
	REASON_LOOPBACK,     // left out on request
	REASON_PROTOCOL,     // neither TCP nor UDP (ICMP, SCTP, raw sockets)
	REASON_UNREADABLE,   // headers that do not parse
	REASON_HANDSHAKE,    // segments of listeners: no payload, counted per peer once the connection stands
	REASON_NEWS_PROCESS, // the ring was full: a process whose path may stay unknown
	REASON_NEWS_DNS,     // the ring was full: a DNS answer not read
	REASONS
};

enum news { NEWS_PROCESS = 1, NEWS_DNS = 2 };

// Kept in step with `flow.KEY_DTYPE`. No holes: the map compares bytes.
struct flow_key {
	__u64 cgroup;
	__u32 remote[4]; // network order; IPv4 as ::ffff:a.b.c.d
	__u32 tgid;	 // 0: the socket is older than the meter, or the kernel's own
	__u8 protocol;
	__u8 opener;
	__u8 port_class;
	__u8 pad;
	char name[NAME_LEN]; // of the thread that opened the socket
};

// Kept in step with `flow.VALUE_DTYPE`. "wire" is all of layer 3: payload, headers, segments sent again.
struct flow_value {
	__u64 tx_bytes, tx_wire, tx_packets, tx_again;
	__u64 rx_bytes, rx_wire, rx_packets;
	__u64 sockets;
};

enum owner_flags { HAS_REMOTE = 1, HAS_SENT = 2, HAS_RECEIVED = 4, SAW_FIN = 8, HAS_PROCESS = 16 };

// The kernel puts 8 bytes in front, at the start of a cache line. What every packet of a connection needs comes first
// and fits into the rest of that line: the key is looked at once in an interval, when its row is looked up.
struct owner {
	__u64 row;	 // of `key`: the generation it was found in, and its slot; 0 after each change of the key
	__u64 received;	 // payload bytes already counted
	__u32 sent_until; // sequence number up to which payload has been counted
	__u32 fin;	 // sequence number of the peer's FIN
	__u32 flags;
	__u32 segments;	 // received and already counted
	__u32 header;	 // bytes of headers of a segment, as last sent
	__u32 pad;
	struct flow_key key;
};

// Written by user space, once and with every reading.
struct settings {
	__u32 generation;	   // of rows; readings count it up, from 1. Its lowest bit says which map is written
	__u32 is_loopback_counted; // or left out
	__u32 rows, folded;	   // slots of a generation: its rows, then those of processes that found no row
	__u32 cpus;
};

// How many slots are taken: of rows and of folded ones, in even generations and in odd ones.
struct taken {
	struct bpf_spin_lock lock;
	__u32 count;
};

struct loss {
	__u64 bytes, packets;
};

struct seen {
	__u64 cgroup, name[2];
};

struct process_news {
	__u32 kind, tgid;
	__u64 cgroup;
	char name[NAME_LEN];
};

struct dns_news {
	__u32 kind, length;
	__u64 cgroup;
	__u8 data[DNS_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct owner);
} owners SEC(".maps");

// The slot of each key.
#define FLOWS(name)                              \
	struct {                                 \
		__uint(type, BPF_MAP_TYPE_HASH); \
		__uint(max_entries, 16384);      \
		__type(key, struct flow_key);    \
		__type(value, __u32);            \
	} name SEC(".maps")

FLOWS(flows_even);
FLOWS(flows_odd);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct taken);
} taken SEC(".maps");

// By slot and CPU, a cache line each: no CPU writes into another's. User space maps them into its memory.
#define COUNTERS(name)                             \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 16384);        \
		__type(key, __u32);                \
		__type(value, struct flow_value);  \
	} name SEC(".maps")

COUNTERS(counters_even);
COUNTERS(counters_odd);

// Sockets older than the meter, by cookie: user space finds their owners.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct flow_key);
} adopted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct seen);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, struct loss);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} news SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");
