// SPDX-License-Identifier: Apache-2.0
//
// How far a TCP connection has come: payload sent for the first time, payload and segments received.

#pragma once

// bytes_received counts the peer's FIN as a byte once rcv_nxt is past it.
static __always_inline __u64 payload_received(struct owner *owner, __u64 bytes_received, __u32 rcv_nxt)
{
	if ((owner->flags & SAW_FIN) && (__s32)(rcv_nxt - owner->fin) > 0 && bytes_received)
		return bytes_received - 1;
	return bytes_received;
}

struct received {
	__u64 bytes;
	__u32 segments;
};

// What the kernel has received on a socket since this was asked last. Every data segment is acknowledged, so asking
// when something is sent, and once more at the end, misses nothing and spares a look at each segment that comes in.
static __always_inline struct received take_received(struct owner *owner, __u64 bytes_received, __u32 rcv_nxt,
						     __u32 segs_in)
{
	__u64 now = payload_received(owner, bytes_received, rcv_nxt);
	struct received fresh = {
		.bytes = now > owner->received ? now - owner->received : 0,
		.segments = segs_in - owner->segments,
	};

	owner->received = now;
	owner->segments = segs_in;
	if (!(owner->flags & HAS_RECEIVED)) { // older than the meter: what came before is not ours to count
		owner->flags |= HAS_RECEIVED;
		fresh.bytes = 0;
		fresh.segments = 0;
	}
	return fresh;
}

static __always_inline void add_received(struct flow_value *value, struct owner *owner, struct received fresh)
{
	if (!fresh.bytes && !fresh.segments)
		return;
	ADD(value->rx_bytes, fresh.bytes);
	ADD(value->rx_packets, fresh.segments);
	ADD(value->rx_wire, fresh.bytes + (__u64)fresh.segments * owner->header);
}

// Payload not sent before. A retransmission has a sequence number below the highest one counted.
static __always_inline __u32 take_sent(struct owner *owner, struct headers *head, __u32 snd_nxt)
{
	__u32 until = head->sequence + head->payload;
	__s32 fresh;

	if (!head->payload)
		return 0;
	if (!(owner->flags & HAS_SENT)) {
		owner->sent_until = (__s32)(head->sequence - snd_nxt) < 0 ? snd_nxt : head->sequence;
		owner->flags |= HAS_SENT;
	}
	fresh = until - owner->sent_until;
	if (fresh <= 0)
		return 0;
	owner->sent_until = until;
	return (__u32)fresh > head->payload ? head->payload : fresh;
}
