/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Random values for state objects, field by field: any value that the field's type can hold and
 * that comes back from a round trip (counts in range; payload is left empty).
 */
#ifndef SCHEMA_FILL_H
#define SCHEMA_FILL_H

#include "base/prng.h"
#include "state/schema.h"

static inline void schema_fill_bytes(struct prng *rng, void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((u8 *)at)[i] = (u8)prng_u32(rng);
}

/* Ones as often as anything else: the ends of a range are where things break. */
static inline u64 schema_fill_number(struct prng *rng)
{
	switch (prng_below(rng, 4)) {
	case 0:
		return UINT64_MAX;
	case 1:
		return 1ull << prng_below(rng, 64);
	default:
		return prng_u64(rng);
	}
}

static inline void schema_fill_field(const struct schema_field *field, void *state,
                                     struct prng *rng)
{
	void *at = schema_at(field, state);
	u64 number = schema_fill_number(rng);

	memset(at, 0, field->size);
	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_mac_addr:
	case SCHEMA_TYPE_ip_addr:
		schema_fill_bytes(rng, at, field->size);
		return;
	case SCHEMA_TYPE_vlan_stack:
		((struct vlan_stack *)at)->n = prng_below(rng, VLAN_DEPTH_MAX + 1);
		schema_fill_bytes(rng, ((struct vlan_stack *)at)->tag,
		                  ((struct vlan_stack *)at)->n * sizeof(u32));
		return;
	case SCHEMA_TYPE_seq_ranges:
		((struct seq_ranges *)at)->n = prng_below(rng, SEQ_RANGES_MAX + 1);
		schema_fill_bytes(rng, ((struct seq_ranges *)at)->r,
		                  ((struct seq_ranges *)at)->n * sizeof(struct seq_range));
		return;
	case SCHEMA_TYPE_cc_private:
		((struct cc_private *)at)->type = (u8)number;
		((struct cc_private *)at)->version = (u8)(number >> 8);
		((struct cc_private *)at)->len = (u16)prng_below(rng, CC_PRIVATE_BYTES + 1);
		schema_fill_bytes(rng, ((struct cc_private *)at)->bytes,
		                  ((struct cc_private *)at)->len);
		return;
	case SCHEMA_TYPE_data_ref:
		((struct data_ref *)at)->buf = NIL;
		return;
	case SCHEMA_TYPE_ooo_refs:
		return;
	default:
		assert_int_equal(
			schema_set(field, state,
		                   field->size < 8 ? number >> (64 - field->size * 8) : number),
			0);
	}
}

/* Every field of the classes (block_flags). */
static inline void schema_fill(const struct schema_layer *layer, void *state, u32 classes,
                               struct prng *rng)
{
	for (u32 i = 0; i < layer->first[STATE_CLASSES]; i++) {
		if (classes >> layer->fields[i].cls & 1)
			schema_fill_field(&layer->fields[i], state, rng);
	}
}

#endif
