/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include <errno.h>

#include "state/binary.h"
#include "state/payload.h"
#include "state/schema.h"

/* A reader that stops at the first error: what is read afterwards is 0. */
struct in {
	const u8 *data;
	size_t size;
	size_t at;
	struct decode_error error;
	struct block_list *list;
};

static void fail(struct in *in, enum decode_kind kind, size_t offset)
{
	if (!in->error.kind)
		in->error = (struct decode_error){kind, offset};
}

/* The next `n` bytes, NULL when there are not as many. */
static const u8 *get_bytes(struct in *in, size_t n)
{
	if (in->error.kind)
		return NULL;
	if (n > in->size - in->at) {
		fail(in, DECODE_TRUNCATED, in->at);
		return NULL;
	}
	in->at += n;
	return in->data + in->at - n;
}

static u64 get(struct in *in, u32 n)
{
	const u8 *le = get_bytes(in, n);
	u64 v = 0;

	for (u32 i = 0; le && i < n; i++)
		v |= (u64)le[i] << (8 * i);
	return v;
}

/* A number that must not exceed `max`, else 0 and an error of this kind. */
static u64 get_upto(struct in *in, u32 n, u64 max, enum decode_kind kind)
{
	size_t at = in->at;
	u64 v = get(in, n);

	if (v <= max)
		return v;
	fail(in, kind, at);
	return 0;
}

static u32 get_count(struct in *in, u32 max)
{
	return (u32)get_upto(in, 1, max, DECODE_VALUE);
}

static void get_payload(struct in *in, struct data_ref *ref)
{
	size_t at = in->at;
	u32 len = (u32)get(in, 4);
	const u8 *bytes = get_bytes(in, len);
	struct payload_out out;

	if (!bytes)
		return;
	payload_out_init(&out, in->list->pool, ref, len);
	if (payload_out_write(&out, bytes, len))
		fail(in, DECODE_DATA_ROOM, at);
}

static void get_ooo(struct in *in, struct ooo_refs *ooo)
{
	u32 n = get_count(in, OOO_REFS_MAX);

	for (u32 i = 0; i < n; i++) {
		struct ooo_ref *seg = &ooo->seg[i];

		seg->seq = seq_of((u32)get(in, 4));
		seg->fin = get_count(in, 1);
		seg->data.buf = NIL;
		ooo->n = i + 1; /* before the payload: it is released with the list */
		get_payload(in, &seg->data);
		if (in->error.kind)
			return;
	}
}

static void get_ranges(struct in *in, struct seq_ranges *ranges)
{
	ranges->n = get_count(in, SEQ_RANGES_MAX);
	for (u32 i = 0; i < ranges->n; i++) {
		ranges->r[i].start = seq_of((u32)get(in, 4));
		ranges->r[i].end = seq_of((u32)get(in, 4));
	}
}

static void get_vlans(struct in *in, struct vlan_stack *vlans)
{
	vlans->n = get_count(in, VLAN_DEPTH_MAX);
	for (u32 i = 0; i < vlans->n; i++)
		vlans->tag[i] = (u32)get(in, 4);
}

static void get_cc(struct in *in, struct cc_private *cc)
{
	const u8 *bytes;

	cc->type = (u8)get(in, 1);
	cc->version = (u8)get(in, 1);
	cc->len = (u16)get_count(in, CC_PRIVATE_BYTES);
	bytes = get_bytes(in, cc->len);
	if (bytes)
		memcpy(cc->bytes, bytes, cc->len);
}

static void get_field(struct in *in, const struct schema_field *field, void *state)
{
	void *at = schema_at(field, state);
	const u8 *bytes;

	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_vlan_stack:
		get_vlans(in, at);
		return;
	case SCHEMA_TYPE_seq_ranges:
		get_ranges(in, at);
		return;
	case SCHEMA_TYPE_cc_private:
		get_cc(in, at);
		return;
	case SCHEMA_TYPE_data_ref:
		get_payload(in, at);
		return;
	case SCHEMA_TYPE_ooo_refs:
		get_ooo(in, at);
		return;
	case SCHEMA_TYPE_mac_addr:
	case SCHEMA_TYPE_ip_addr:
		bytes = get_bytes(in, field->size);
		if (bytes)
			memcpy(at, bytes, field->size);
		return;
	default:
		if (schema_set(field, state, get(in, field->size)))
			fail(in, DECODE_VALUE, in->at);
	}
}

static void get_state(struct in *in, u32 block, const u32 states[LAYERS])
{
	struct block *b = block_at(in->list, block);
	const struct schema_layer *layer = in->list->schema->layer[b->layer];
	void *state;

	/* The header's numbers fit the list; so does what keeps to them. */
	if (block_list_states(in->list, b->layer) >= states[b->layer] ||
	    block_list_add_state(in->list, block)) {
		fail(in, DECODE_VALUE, in->at);
		return;
	}
	state = block_list_state(in->list, b->layer, b->state);
	for (u32 i = 0; i < layer->first[STATE_CLASSES] && !in->error.kind; i++) {
		if (b->flags >> layer->fields[i].cls & 1)
			get_field(in, &layer->fields[i], state);
	}
}

static void get_block(struct in *in, u32 block, const u32 states[LAYERS])
{
	struct block *b = block_at(in->list, block);
	bool has_state;

	*b = (struct block){.state = NIL};
	b->layer = (u8)get_upto(in, 1, LAYERS - 1, DECODE_VALUE);
	b->flags = (u8)get(in, 1);
	has_state = get_upto(in, 1, 1, DECODE_VALUE);
	get_upto(in, 1, 0, DECODE_VALUE);
	b->status = (u16)get_upto(in, 2, STATUSES - 1, DECODE_VALUE);
	get_upto(in, 2, 0, DECODE_VALUE);
	b->next = (u32)get(in, 4);
	b->dependent = (u32)get(in, 4);
	b->host = get(in, 8);
	b->device = get(in, 8);
	b->detail = get(in, 8);
	if (has_state && !in->error.kind)
		get_state(in, block, states);
}

static void get_insert(struct in *in)
{
	u32 block = (u32)get(in, 4);
	u16 kind = (u16)get(in, 2);
	u32 len = (u32)get_upto(in, 2, BLOCK_INSERT_BYTES, DECODE_VALUE);
	const u8 *bytes = get_bytes(in, len);

	if (bytes && block_list_insert(in->list, block, kind, bytes, len))
		fail(in, DECODE_VALUE, in->at);
}

/* Returns the number of blocks; `states` gets those of each layer. */
static u32 get_header(struct in *in, u32 states[LAYERS], u32 *ret_inserts)
{
	const struct block_list *list = in->list;
	const u32 room[LAYERS] = {list->cap_neighbors, list->cap_paths, list->cap_conns};
	const u8 *magic = get_bytes(in, 8);
	u64 total;
	u32 blocks;

	if (magic && memcmp(magic, "chimney", 8))
		fail(in, DECODE_MAGIC, 0);
	if (get(in, 2) != BINARY_VERSION)
		fail(in, DECODE_VERSION, 8);
	if (get(in, 2) != BINARY_HEADER_BYTES)
		fail(in, DECODE_VALUE, 10);
	get_upto(in, 4, 0, DECODE_VALUE);
	if (get(in, 8) != schema_hash(list->schema))
		fail(in, DECODE_SCHEMA, 16);
	total = get(in, 8);
	if (total != in->size)
		fail(in, total > in->size ? DECODE_TRUNCATED : DECODE_TRAILING, 24);
	blocks = (u32)get_upto(in, 4, list->cap_blocks, DECODE_ROOM);
	for (u32 l = 0; l < LAYERS; l++)
		states[l] = (u32)get_upto(in, 4, room[l], DECODE_ROOM);
	in->list->root = (u32)get(in, 4);
	*ret_inserts = (u32)get_upto(in, 4, list->cap_inserts, DECODE_ROOM);
	get_upto(in, 8, 0, DECODE_VALUE);
	return blocks;
}

int binary_decode(struct block_list *list, const u8 *data, size_t size,
                  struct decode_error *ret_error)
{
	struct in in = {.data = data, .size = size, .list = list};
	u32 states[LAYERS], inserts;
	u32 blocks = get_header(&in, states, &inserts);

	for (u32 i = 0; i < blocks && !in.error.kind; i++) {
		get_block(&in, i, states);
		list->n_blocks = i + 1;
	}
	for (u32 i = 0; i < inserts && !in.error.kind; i++)
		get_insert(&in);
	if (in.at != size)
		fail(&in, DECODE_TRAILING, in.at);
	for (u32 l = 0; l < LAYERS; l++) {
		if (block_list_states(list, l) != states[l])
			fail(&in, DECODE_VALUE, 36 + 4 * l);
	}
	if (ret_error)
		*ret_error = in.error;
	if (!in.error.kind)
		return 0;
	block_list_put_data(list);
	block_list_reset(list);
	return -EBADMSG;
}
