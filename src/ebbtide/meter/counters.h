// SPDX-License-Identifier: Apache-2.0
//
// Where a count goes: the row of its key, or of its process when the rows are taken, or a reason why it is in no row.

#pragma once

#define NO_SLOT 0xffffffffu

// A program may be interrupted by another one on its CPU, also between reading a counter and writing it.
#define ADD(counter, more) ((void)__sync_fetch_and_add(&(counter), more))

static __always_inline const struct settings *get_settings(void)
{
	__u32 index = 0;
	return bpf_map_lookup_elem(&settings, &index);
}

static __always_inline void lose(__u32 reason, __u64 bytes, __u64 packets)
{
	struct loss *loss = bpf_map_lookup_elem(&losses, &reason);
	if (loss) {
		ADD(loss->bytes, bytes);
		ADD(loss->packets, packets);
	}
}

// A slot nobody has. Under a lock, because an addition that tells what was there before needs Linux 5.12.
static __always_inline __u32 take_slot(__u32 index, __u32 limit)
{
	struct taken *place = bpf_map_lookup_elem(&taken, &index);
	__u32 slot = NO_SLOT;

	if (!place)
		return slot;
	bpf_spin_lock(&place->lock);
	if (place->count < limit)
		slot = place->count++;
	bpf_spin_unlock(&place->lock);
	return slot;
}

static __always_inline __u32 slot_in(void *map, const struct flow_key *key, __u32 index, __u32 first, __u32 limit)
{
	__u32 *found = bpf_map_lookup_elem(map, key), slot;

	if (found)
		return *found;
	slot = take_slot(index, limit);
	if (slot == NO_SLOT)
		return slot;
	slot += first;
	bpf_map_update_elem(map, key, &slot, BPF_NOEXIST);
	found = bpf_map_lookup_elem(map, key); // another CPU may have been first
	return found ? *found : NO_SLOT;
}

// One call for each map: the verifier wants to know which map a program means.
static __always_inline __u32 slot_get(const struct settings *set, __u32 is_odd, const struct flow_key *key,
				      __u32 is_folded)
{
	__u32 first = is_folded ? set->rows : 0, limit = is_folded ? set->folded : set->rows;

	if (is_odd)
		return slot_in(&flows_odd, key, 2 + is_folded, first, limit);
	return slot_in(&flows_even, key, is_folded, first, limit);
}

// The row of a key: its own, or that of the process with no destination when the rows are taken, or NO_SLOT.
static __always_inline __u64 find_row(const struct settings *set, __u32 generation, const struct flow_key *key)
{
	__u32 slot = slot_get(set, generation & 1, key, 0);

	if (slot == NO_SLOT) {
		struct flow_key folded = *key;
		__builtin_memset(folded.remote, 0, sizeof(folded.remote));
		folded.opener = OPENER_UNKNOWN;
		folded.port_class = 0;
		slot = slot_get(set, generation & 1, &folded, 1);
	}
	return (__u64)generation << 32 | slot;
}

// The counters of a row, or none where there was no room for it. What is not in the row of its key is told.
static __always_inline struct flow_value *value_of(const struct settings *set, __u64 row, __u32 bytes, __u32 packets)
{
	__u32 slot = (__u32)row, index = slot * set->cpus + bpf_get_smp_processor_id();
	struct flow_value *value = 0;

	if (slot != NO_SLOT)
		value = row >> 32 & 1 ? bpf_map_lookup_elem(&counters_odd, &index)
				      : bpf_map_lookup_elem(&counters_even, &index);
	if (!value || slot >= set->rows)
		lose(value ? REASON_FOLDED : REASON_MAP_FULL, bytes, packets);
	return value;
}

// The generation may change at any time: a program asks once and stays with the answer.
static __always_inline __u32 get_generation(const struct settings *set)
{
	return *(volatile const __u32 *)&set->generation;
}

static __always_inline struct flow_value *key_value(const struct flow_key *key, __u32 bytes, __u32 packets)
{
	const struct settings *set = get_settings();

	return set ? value_of(set, find_row(set, get_generation(set), key), bytes, packets) : 0;
}

// The same for the key of an owner, looked up once in a generation.
static __always_inline struct flow_value *owner_value(struct owner *owner, __u32 bytes, __u32 packets)
{
	const struct settings *set = get_settings();
	__u64 row = owner->row;
	__u32 generation;

	if (!set)
		return 0;
	generation = get_generation(set);
	if (row >> 32 != generation) {
		row = find_row(set, generation, &owner->key);
		owner->row = row; // both halves at once: another CPU may read it
	}
	return value_of(set, row, bytes, packets);
}

static __always_inline int is_loopback_counted(void)
{
	const struct settings *set = get_settings();
	return set && set->is_loopback_counted;
}
