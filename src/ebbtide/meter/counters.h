// SPDX-License-Identifier: Apache-2.0
//
// Where a count goes: the row of its key, or of its process when the map is full, or a reason why it is in no row.

#pragma once

static __always_inline __u32 setting(__u32 index)
{
	__u32 *value = bpf_map_lookup_elem(&settings, &index);
	return value ? *value : 0;
}

static __always_inline void lose(__u32 reason, __u64 bytes, __u64 packets)
{
	struct loss *loss = bpf_map_lookup_elem(&losses, &reason);
	if (loss) {
		loss->bytes += bytes;
		loss->packets += packets;
	}
}

// One lookup for each map: the verifier wants to know which map a program means.
static __always_inline struct flow_value *flow_in(void *map, const struct flow_key *key)
{
	struct flow_value zero = {}, *value = bpf_map_lookup_elem(map, key);

	if (value)
		return value;
	bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

// The counters of a key: its own, or those of the process with no destination when the map is full, or none.
static __always_inline struct flow_value *flow_get(const struct flow_key *key, __u32 bytes, __u32 packets)
{
	__u32 is_odd = setting(0);
	struct flow_value *value = is_odd ? flow_in(&flows_odd, key) : flow_in(&flows_even, key);

	if (value)
		return value;

	struct flow_key folded = *key;
	__builtin_memset(folded.remote, 0, sizeof(folded.remote));
	folded.opener = OPENER_UNKNOWN;
	folded.port_class = 0;
	value = is_odd ? flow_in(&folded_odd, &folded) : flow_in(&folded_even, &folded);
	lose(value ? REASON_FOLDED : REASON_MAP_FULL, bytes, packets);
	return value;
}
