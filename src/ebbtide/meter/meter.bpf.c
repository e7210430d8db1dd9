// SPDX-License-Identifier: Apache-2.0
//
// Who sends what to whom, counted in the kernel. Attached to the root of cgroup v2; needs no kprobe, no kernel
// headers and no kernel BTF. In: sockets and packets. Out: two maps of counters (one is written while the other is
// read and emptied), and a ring of two kinds of news: a process opened its first socket, a DNS answer arrived.
//
// The owner of a packet is the owner of its socket, stored with the socket when a process creates, connects or sends
// with it, and copied by the kernel from a listener to what it accepts. A packet hook may run while any task happens
// to be current, so no packet hook asks for the current task.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"
#include "counters.h"
#include "packet.h"
#include "progress.h"

static __always_inline void set_ports(struct flow_key *key, __u32 local, __u32 remote)
{
	__u32 service = local < remote ? local : remote;

	if (key->protocol == UDP) // a datagram has no opener; the side with the higher port is taken for it
		key->opener = local > remote ? OPENER_LOCAL : local < remote ? OPENER_REMOTE : OPENER_UNKNOWN;
	if (key->opener == OPENER_LOCAL)
		service = remote;
	else if (key->opener == OPENER_REMOTE)
		service = local;
	key->port_class = port_class(service);
}

static __always_inline void set_remote4(struct flow_key *key, __u32 address)
{
	key->remote[0] = 0;
	key->remote[1] = 0;
	key->remote[2] = bpf_htonl(0xffff);
	key->remote[3] = address;
}

// ---- process context: who owns this socket ----

static __always_inline void tell_process(struct flow_key *key)
{
	struct seen *before = bpf_map_lookup_elem(&processes, &key->tgid);
	struct seen now = {.cgroup = key->cgroup};
	struct process_news what = {.kind = NEWS_PROCESS, .tgid = key->tgid, .cgroup = key->cgroup};

	__builtin_memcpy(now.name, key->name, NAME_LEN);
	if (before && before->cgroup == now.cgroup && before->name[0] == now.name[0] && before->name[1] == now.name[1])
		return;
	bpf_map_update_elem(&processes, &key->tgid, &now, BPF_ANY);
	__builtin_memcpy(what.name, key->name, NAME_LEN);
	if (bpf_ringbuf_output(&news, &what, sizeof(what), 0))
		lose(REASON_NEWS_PROCESS, 0, 1);
}

static __always_inline int own(struct bpf_sock *sk)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct owner *owner;

	if (!sk)
		return 1;
	owner = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!owner || owner->key.tgid == tgid)
		return 1;
	owner->key.cgroup = bpf_get_current_cgroup_id();
	owner->key.tgid = tgid;
	bpf_get_current_comm(owner->key.name, NAME_LEN);
	owner->flags |= HAS_PROCESS;
	owner->row = 0;
	tell_process(&owner->key);
	return 1;
}

SEC("cgroup/sock_create") int on_create(struct bpf_sock *ctx)
{
	if (ctx->family != AF_INET && ctx->family != AF_INET6)
		return 1;
	return own(ctx);
}
SEC("cgroup/connect4") int on_connect4(struct bpf_sock_addr *ctx) { return own(ctx->sk); }
SEC("cgroup/connect6") int on_connect6(struct bpf_sock_addr *ctx) { return own(ctx->sk); }
SEC("cgroup/sendmsg4") int on_sendmsg4(struct bpf_sock_addr *ctx) { return own(ctx->sk); }
SEC("cgroup/sendmsg6") int on_sendmsg6(struct bpf_sock_addr *ctx) { return own(ctx->sk); }

// ---- TCP events: to whom, opened by whom, and the last bytes ----

// A context may only be read at constant offsets; volatile keeps the compiler from sharing loads between branches.
#define CONTEXT(field) (*(volatile typeof(field) *)&(field))

static __always_inline int is_loopback(struct bpf_sock_ops *ctx)
{
	__u32 remote, local, apart;

	if (CONTEXT(ctx->family) == AF_INET) {
		remote = CONTEXT(ctx->remote_ip4);
		local = CONTEXT(ctx->local_ip4);
		return (bpf_ntohl(remote) >> 24) == 127 || remote == local;
	}
	apart = CONTEXT(ctx->remote_ip6[0]) ^ CONTEXT(ctx->local_ip6[0]);
	apart |= CONTEXT(ctx->remote_ip6[1]) ^ CONTEXT(ctx->local_ip6[1]);
	apart |= CONTEXT(ctx->remote_ip6[2]) ^ CONTEXT(ctx->local_ip6[2]);
	apart |= CONTEXT(ctx->remote_ip6[3]) ^ CONTEXT(ctx->local_ip6[3]);
	return !apart;
}

static __always_inline void set_remote(struct flow_key *key, struct bpf_sock_ops *ctx, __u8 opener)
{
	if (CONTEXT(ctx->family) == AF_INET) {
		set_remote4(key, CONTEXT(ctx->remote_ip4));
	} else {
		key->remote[0] = CONTEXT(ctx->remote_ip6[0]);
		key->remote[1] = CONTEXT(ctx->remote_ip6[1]);
		key->remote[2] = CONTEXT(ctx->remote_ip6[2]);
		key->remote[3] = CONTEXT(ctx->remote_ip6[3]);
	}
	key->protocol = TCP;
	key->opener = opener;
	set_ports(key, CONTEXT(ctx->local_port), bpf_ntohl(CONTEXT(ctx->remote_port)));
}

static __always_inline void open_flow(struct bpf_sock_ops *ctx, struct owner *owner, __u8 opener)
{
	struct flow_value *value;

	set_remote(&owner->key, ctx, opener);
	owner->flags = HAS_REMOTE | HAS_RECEIVED | (owner->flags & HAS_PROCESS);
	owner->row = 0;
	owner->received = 0;
	owner->segments = 0;
	bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
	if (is_loopback(ctx) && !is_loopback_counted())
		return;
	value = owner_value(owner, 0, 0);
	if (!value)
		return;
	ADD(value->sockets, 1);
	if (opener == OPENER_REMOTE)
		ADD(value->tx_packets, 1); // the SYN+ACK, which the listener sent
}

static __always_inline void close_flow(struct bpf_sock_ops *ctx, struct owner *owner)
{
	struct received fresh = take_received(owner, ctx->bytes_received, ctx->rcv_nxt, ctx->segs_in);
	struct flow_value *value;

	if (!fresh.bytes && !fresh.segments)
		return;
	if (is_loopback(ctx) && !is_loopback_counted()) {
		lose(REASON_LOOPBACK, fresh.bytes, 0);
		return;
	}
	value = owner_value(owner, fresh.bytes, fresh.segments);
	if (value)
		add_received(value, owner, fresh);
}

SEC("sockops") int on_tcp(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct owner *owner;

	if (!sk || (ctx->family != AF_INET && ctx->family != AF_INET6))
		return 1;
	owner = bpf_sk_storage_get(&owners, sk, 0, 0);
	if (!owner)
		return 1;
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		open_flow(ctx, owner, OPENER_LOCAL);
	else if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		open_flow(ctx, owner, OPENER_REMOTE);
	else if (ctx->op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] == BPF_TCP_CLOSE && (owner->flags & HAS_REMOTE))
		close_flow(ctx, owner);
	return 1;
}

// ---- packets ----

static __always_inline void set_packet_remote(struct __sk_buff *skb, struct flow_key *key, int is_egress)
{
	__u8 version = 0;
	__u32 address;

	bpf_skb_load_bytes(skb, 0, &version, 1);
	if ((version >> 4) == 4) {
		bpf_skb_load_bytes(skb, is_egress ? 16 : 12, &address, 4);
		set_remote4(key, address);
	} else {
		bpf_skb_load_bytes(skb, is_egress ? 24 : 8, key->remote, 16);
	}
}

static __always_inline void tell_dns(struct __sk_buff *skb, struct headers *head, __u64 cgroup)
{
	__u64 length = head->payload; // 64 bits wide: the verifier loses the bound of a register it sees shifted
	struct dns_news *what;

	if (length < 12)
		return;
	if (length > DNS_BYTES)
		length = DNS_BYTES;
	what = bpf_ringbuf_reserve(&news, sizeof(*what), 0);
	if (!what) {
		lose(REASON_NEWS_DNS, length, 1);
		return;
	}
	what->kind = NEWS_DNS;
	what->length = length;
	what->cgroup = cgroup;
	asm volatile("" : "+r"(length)); // keep the bound where the verifier sees it
	if (length > DNS_BYTES || length < 1 || bpf_skb_load_bytes(skb, head->offset, what->data, length))
		what->length = 0;
	bpf_ringbuf_submit(what, 0);
}

// The owner of a socket the meter did not see being made: found by user space, or only its cgroup until it is.
static __always_inline struct owner *adopt(struct __sk_buff *skb, void *sk, struct owner *owner)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct flow_key *key = bpf_map_lookup_elem(&adopted, &cookie);

	if (!owner)
		owner = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!owner)
		return 0;
	if (key) {
		owner->key.cgroup = key->cgroup;
		owner->key.tgid = key->tgid;
		owner->flags |= HAS_PROCESS;
		__builtin_memcpy(owner->key.name, key->name, NAME_LEN);
		if (owner->key.opener == OPENER_UNKNOWN)
			owner->key.opener = key->opener;
	}
	if (!owner->key.cgroup)
		owner->key.cgroup = bpf_skb_cgroup_id(skb);
	owner->row = 0;
	return owner;
}

static __always_inline struct owner *find_owner(struct __sk_buff *skb, void *sk, struct headers *head, __u32 segments)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, 0);

	if (!owner || !(owner->flags & HAS_PROCESS))
		owner = adopt(skb, sk, owner);
	if (!owner)
		lose(REASON_MAP_FULL, head->payload, segments);
	return owner;
}

static __always_inline int is_left_out(struct __sk_buff *skb, struct headers *head, __u32 segments)
{
	if (skb->ifindex != LOOPBACK_IFINDEX || is_loopback_counted())
		return 0;
	lose(REASON_LOOPBACK, head->payload, segments);
	return 1;
}

static __always_inline void count_tcp(struct __sk_buff *skb, struct bpf_sock *sk, struct headers *head, __u32 segments)
{
	__u32 wire = head->payload + head->offset * segments, fresh, rcv_nxt, segs_in;
	struct bpf_tcp_sock *tcp;
	struct flow_value *value;
	struct received received;
	struct owner *owner;
	__u64 bytes_received;

	if (is_left_out(skb, head, segments))
		return;
	tcp = bpf_tcp_sock(sk);
	if (!tcp || sk->state == BPF_TCP_LISTEN) {
		lose(REASON_HANDSHAKE, wire, segments);
		return;
	}
	// Asked before the owner: all of it is cold in the cache, and these loads wait for nothing.
	bytes_received = CONTEXT(tcp->bytes_received);
	segs_in = CONTEXT(tcp->segs_in);
	rcv_nxt = CONTEXT(tcp->rcv_nxt);
	owner = find_owner(skb, tcp, head, segments);
	if (!owner)
		return;
	if (!(owner->flags & HAS_REMOTE)) {
		set_packet_remote(skb, &owner->key, 1);
		owner->key.protocol = TCP;
		set_ports(&owner->key, head->source, head->dest);
		owner->flags |= HAS_REMOTE;
		owner->row = 0;
	}
	fresh = take_sent(owner, head, tcp->snd_nxt);
	owner->header = head->offset;
	received = take_received(owner, bytes_received, rcv_nxt, segs_in);
	value = owner_value(owner, fresh + received.bytes, segments + received.segments);
	if (!value)
		return;
	ADD(value->tx_bytes, fresh);
	ADD(value->tx_wire, wire);
	if (head->payload && !fresh)
		ADD(value->tx_again, segments);
	else
		ADD(value->tx_packets, segments);
	add_received(value, owner, received);
}

// Of what comes in only a FIN matters: it is counted as a byte received. The rest is read when something is sent.
static __always_inline void note_fin(struct bpf_sock *sk, struct headers *head)
{
	struct owner *owner = sk ? bpf_sk_storage_get(&owners, sk, 0, 0) : 0;

	if (owner) {
		owner->fin = head->sequence + head->payload;
		owner->flags |= SAW_FIN;
	}
}

static __always_inline void count_udp(struct __sk_buff *skb, struct bpf_sock *sk, struct headers *head,
				      __u32 segments, int is_egress)
{
	__u32 wire = head->payload + head->offset * segments;
	struct owner *owner = find_owner(skb, sk, head, segments);
	struct flow_value *value;
	struct flow_key key;

	if (!owner)
		return;
	if (!is_egress && head->source == DNS_PORT)
		tell_dns(skb, head, owner->key.cgroup);
	if (is_left_out(skb, head, segments))
		return;
	key = owner->key;
	set_packet_remote(skb, &key, is_egress);
	key.protocol = UDP;
	set_ports(&key, is_egress ? head->source : head->dest, is_egress ? head->dest : head->source);
	value = key_value(&key, head->payload, segments);
	if (!value)
		return;
	if (is_egress) {
		ADD(value->tx_bytes, head->payload);
		ADD(value->tx_wire, wire);
		ADD(value->tx_packets, segments);
	} else {
		ADD(value->rx_bytes, head->payload);
		ADD(value->rx_wire, wire);
		ADD(value->rx_packets, segments);
	}
}

static __always_inline int count(struct __sk_buff *skb, int is_egress)
{
	struct headers head = {};
	struct bpf_sock *sk;
	__u32 segments;

	if (read_headers(skb, &head)) {
		lose(REASON_UNREADABLE, skb->len, skb->gso_segs ? skb->gso_segs : 1);
		return 1;
	}
	if (!is_egress && head.protocol == TCP && !head.is_fin)
		return 1;
	sk = skb->sk;
	if (!is_egress && head.protocol == TCP) {
		note_fin(sk, &head);
		return 1;
	}
	segments = skb->gso_segs ? skb->gso_segs : 1;
	if (sk && head.protocol == TCP)
		count_tcp(skb, sk, &head, segments);
	else if (sk && head.protocol == UDP)
		count_udp(skb, sk, &head, segments, is_egress);
	else
		lose(REASON_PROTOCOL, skb->len, segments);
	return 1;
}

SEC("cgroup_skb/egress") int on_egress(struct __sk_buff *skb) { return count(skb, 1); }
SEC("cgroup_skb/ingress") int on_ingress(struct __sk_buff *skb) { return count(skb, 0); }

// Every helper used is open to any licence: none is GPL only.
char _license[] SEC("license") = "Apache-2.0";
