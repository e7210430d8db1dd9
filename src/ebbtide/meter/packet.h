// SPDX-License-Identifier: Apache-2.0
//
// Reading a packet: where its payload starts, how long it is, its ports; and what a port is usually for.

#pragma once

struct headers {
	__u32 protocol, payload, length; // payload of all segments; length of one segment's headers
	__u32 sequence, is_fin;
	__u16 source, dest; // ports, host order
	__u32 offset;	    // of the payload
};

struct ip4 {
	__u8 ihl_version, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__be16 check;
	__be32 source, dest;
};

struct ip6 {
	__be32 flow;
	__be16 length;
	__u8 next, hops;
	__u32 source[4], dest[4];
};

struct tcp {
	__be16 source, dest;
	__be32 sequence, ack;
	__u8 offset, flags;
	__be16 window, check, urgent;
};

struct udp {
	__be16 source, dest, length, check;
};

// Where the transport header starts; IPv6 extension headers are followed up to six deep. Negative: unreadable.
static __always_inline int transport(struct __sk_buff *skb, void *data, void *end, struct headers *head)
{
	struct ip4 *ip4 = data;
	struct ip6 *ip6 = data;
	__u32 offset = sizeof(*ip6);
	__u8 option[2];

	if (data + sizeof(*ip4) > end)
		return -1;
	if ((ip4->ihl_version >> 4) == 4) {
		head->protocol = ip4->protocol;
		return (ip4->ihl_version & 15) * 4;
	}
	if (data + sizeof(*ip6) > end)
		return -1;
	head->protocol = ip6->next;
#pragma unroll
	for (int depth = 0; depth < 6; depth++) {
		if (head->protocol != 0 && head->protocol != 43 && head->protocol != 60)
			break;
		if (bpf_skb_load_bytes(skb, offset, option, sizeof(option)))
			return -1;
		head->protocol = option[0];
		offset += 8 + option[1] * 8;
	}
	return offset;
}

static __always_inline int read_headers(struct __sk_buff *skb, struct headers *head)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int offset = transport(skb, data, end, head);

	if (offset < 20 || offset > 1024)
		return -1;
	if (head->protocol == TCP) {
		struct tcp tcp, *at = data + offset;
		if ((void *)(at + 1) > end) {
			if (bpf_skb_load_bytes(skb, offset, &tcp, sizeof(tcp)))
				return -1;
			at = &tcp;
		}
		head->sequence = bpf_ntohl(at->sequence);
		head->is_fin = at->flags & 1;
		head->source = bpf_ntohs(at->source);
		head->dest = bpf_ntohs(at->dest);
		head->offset = offset + (at->offset >> 4) * 4;
	} else if (head->protocol == UDP) {
		struct udp udp;
		if (bpf_skb_load_bytes(skb, offset, &udp, sizeof(udp)))
			return -1;
		head->source = bpf_ntohs(udp.source);
		head->dest = bpf_ntohs(udp.dest);
		head->offset = offset + sizeof(udp);
	} else {
		return 0;
	}
	if (head->offset > skb->len)
		return -1;
	head->payload = skb->len - head->offset;
	return 0;
}

// Kept in step with `flow.PORT_CLASSES`.
static __always_inline __u8 port_class(__u32 port)
{
	switch (port) {
	case 53: return 1;
	case 80: case 8080: case 8000: return 2;
	case 443: case 8443: case 6443: return 3;
	case 22: return 4;
	case 25: case 465: case 587: return 5;
	case 123: return 6;
	case 88: case 389: case 636: case 3268: return 7;
	case 20: case 21: case 69: case 111: case 139: case 445: case 873: case 2049: return 8;
	case 1433: case 1521: case 3306: case 5432: case 6379: case 9042: case 9200: case 11211: case 27017: return 9;
	case 1883: case 4222: case 5672: case 8883: case 9092: return 10;
	case 4317: case 4318: case 9090: case 9100: case 10250: return 11;
	}
	return port < 1024 ? 12 : port < 32768 ? 13 : 14;
}
