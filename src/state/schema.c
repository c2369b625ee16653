/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/schema.h"

#include <errno.h>

#include "state/check.h"

#define STRUCT_NEIGHBOR        neighbor_state
#define STRUCT_PATH            path_state
#define STRUCT_TCP             tcp_state
#define PART_CONST             k
#define PART_CACHED            c
#define PART_DELEGATED         d
#define OFFSET(s, part, name)  OFFSET_(s, part, name)
#define OFFSET_(s, part, name) offsetof(struct s, part.name)

static const struct schema_field fields[SCHEMA_VARS] = {
#define VAR(layer_, cls_, type_, name_, unit_, source_)                \
	[SCHEMA_##layer_##_##name_] = {                                \
		.name = #name_,                                        \
		.unit = unit_,                                         \
		.source = source_,                                     \
		.offset = OFFSET(STRUCT_##layer_, PART_##cls_, name_), \
		.size = sizeof(state_t_##type_),                       \
		.type = SCHEMA_TYPE_##type_,                           \
		.cls = CLASS_##cls_,                                   \
		.layer = LAYER_##layer_,                               \
	},
#include "state/schema.def"
#undef VAR
};

static const char *check_neighbor(const void *state, u32 classes)
{
	return state_check_neighbor(state, classes);
}

static const char *check_path(const void *state, u32 classes)
{
	return state_check_path(state, classes);
}

static const char *check_tcp(const void *state, u32 classes)
{
	return state_check_tcp(state, classes);
}

/* Where the variables of one layer begin and end. */
#define CLASSES(layer, end)                                                  \
	{                                                                    \
		0, SCHEMA_##layer##_CACHED - SCHEMA_##layer##_CONST,         \
			SCHEMA_##layer##_DELEGATED - SCHEMA_##layer##_CONST, \
			(end)-SCHEMA_##layer##_CONST,                        \
	}

static const struct schema_layer neighbor_layer = {
	.name = "neighbor",
	.fields = &fields[SCHEMA_NEIGHBOR_CONST],
	.first = CLASSES(NEIGHBOR, SCHEMA_PATH_CONST),
	.state_bytes = sizeof(struct neighbor_state),
	.check = check_neighbor,
};

static const struct schema_layer path_layer = {
	.name = "path",
	.fields = &fields[SCHEMA_PATH_CONST],
	.first = CLASSES(PATH, SCHEMA_TCP_CONST),
	.state_bytes = sizeof(struct path_state),
	.check = check_path,
};

static const u16 tcp_payload[] = {
	SCHEMA_TCP_send - SCHEMA_TCP_CONST,
	SCHEMA_TCP_recv - SCHEMA_TCP_CONST,
	SCHEMA_TCP_ooo - SCHEMA_TCP_CONST,
};

static const struct schema_layer tcp_layer = {
	.name = "tcp",
	.fields = &fields[SCHEMA_TCP_CONST],
	.first = CLASSES(TCP, SCHEMA_VARS),
	.state_bytes = sizeof(struct tcp_state),
	.n_payload = ARRAY_SIZE(tcp_payload),
	.payload = tcp_payload,
	.check = check_tcp,
};

_Static_assert(SCHEMA_VARS - SCHEMA_TCP_DELEGATED <= 64, "a class is a set of 64 bits");
_Static_assert(SCHEMA_TCP_DELEGATED - SCHEMA_TCP_CACHED <= 64, "a class is a set of 64 bits");

const struct schema schema_tcp = {
	.layer = {&neighbor_layer, &path_layer, &tcp_layer},
};

const char *schema_class_name(enum state_class cls)
{
	static const char *const names[STATE_CLASSES] = {"const", "cached", "delegated"};

	return (u32)cls < STATE_CLASSES ? names[cls] : "unknown";
}

const char *schema_type_name(enum schema_type type)
{
	static const char *const names[SCHEMA_TYPES] = {
		"u8",      "u16",        "u32",        "u64",        "tcp_seq",  "mac_addr",
		"ip_addr", "vlan_stack", "seq_ranges", "cc_private", "data_ref", "ooo_refs",
	};

	return (u32)type < SCHEMA_TYPES ? names[type] : "unknown";
}

const struct schema_field *schema_field(enum schema_var var)
{
	return &fields[var];
}

enum state_class schema_class_of(enum schema_var var)
{
	return fields[var].cls;
}

static bool is_named(const struct schema_field *field, const char *name, size_t len)
{
	/* By byte, so that the end of the field's name is never passed. */
	for (size_t i = 0; i < len; i++) {
		if (!field->name[i] || field->name[i] != name[i])
			return false;
	}
	return !field->name[len];
}

const struct schema_field *schema_find(const struct schema_layer *layer, const char *name,
                                       size_t len, u32 hint)
{
	if (hint < layer->first[STATE_CLASSES] && is_named(&layer->fields[hint], name, len))
		return &layer->fields[hint];
	for (u32 i = 0; i < layer->first[STATE_CLASSES]; i++) {
		if (is_named(&layer->fields[i], name, len))
			return &layer->fields[i];
	}
	return NULL;
}

/* FNV-1a, 64 bits: a fingerprint, no protection. */
static u64 hash_byte(u64 hash, u8 byte)
{
	return (hash ^ byte) * 0x100000001b3ull;
}

static u64 hash_string(u64 hash, const char *s)
{
	do
		hash = hash_byte(hash, (u8)*s);
	while (*s++);
	return hash;
}

u64 schema_hash(const struct schema *schema)
{
	u64 hash = 0xcbf29ce484222325ull;

	for (u32 l = 0; l < LAYERS; l++) {
		const struct schema_layer *layer = schema->layer[l];

		hash = hash_string(hash, layer->name);
		for (u32 i = 0; i < layer->first[STATE_CLASSES]; i++) {
			hash = hash_string(hash, layer->fields[i].name);
			hash = hash_string(hash, schema_type_name(layer->fields[i].type));
			hash = hash_byte(hash, layer->fields[i].cls);
		}
	}
	return hash;
}

int schema_get(const struct schema_field *field, const void *state, u64 *ret_value)
{
	const void *at = schema_at(field, state);

	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_u8:
		*ret_value = *(const u8 *)at;
		return 0;
	case SCHEMA_TYPE_u16:
		*ret_value = *(const u16 *)at;
		return 0;
	case SCHEMA_TYPE_u32:
		*ret_value = *(const u32 *)at;
		return 0;
	case SCHEMA_TYPE_u64:
		*ret_value = *(const u64 *)at;
		return 0;
	case SCHEMA_TYPE_tcp_seq:
		*ret_value = ((const tcp_seq *)at)->n;
		return 0;
	default:
		return -EINVAL;
	}
}

int schema_set(const struct schema_field *field, void *state, u64 value)
{
	void *at = schema_at(field, state);

	if (field->type > SCHEMA_TYPE_tcp_seq)
		return -EINVAL;
	if (field->size < 8 && value >> (field->size * 8))
		return -ERANGE;
	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_u8:
		*(u8 *)at = (u8)value;
		return 0;
	case SCHEMA_TYPE_u16:
		*(u16 *)at = (u16)value;
		return 0;
	case SCHEMA_TYPE_u32:
		*(u32 *)at = (u32)value;
		return 0;
	case SCHEMA_TYPE_u64:
		*(u64 *)at = value;
		return 0;
	default:
		((tcp_seq *)at)->n = (u32)value;
		return 0;
	}
}

/* Bytes of a variable that mean something: those up to its count. */
static size_t used_bytes(const struct schema_field *field, const void *at)
{
	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_vlan_stack:
		return offsetof(struct vlan_stack, tag) +
		       min_of(((const struct vlan_stack *)at)->n, (u32)VLAN_DEPTH_MAX) *
		               sizeof(u32);
	case SCHEMA_TYPE_seq_ranges:
		return offsetof(struct seq_ranges, r) +
		       min_of(((const struct seq_ranges *)at)->n, (u32)SEQ_RANGES_MAX) *
		               sizeof(struct seq_range);
	case SCHEMA_TYPE_cc_private:
		return offsetof(struct cc_private, bytes) +
		       min_of(((const struct cc_private *)at)->len, (u16)CC_PRIVATE_BYTES);
	case SCHEMA_TYPE_ooo_refs:
		return offsetof(struct ooo_refs, seg) +
		       min_of(((const struct ooo_refs *)at)->n, (u32)OOO_REFS_MAX) *
		               sizeof(struct ooo_ref);
	default:
		return field->size;
	}
}

bool schema_equal(const struct schema_field *field, const void *a, const void *b)
{
	const void *at_a = schema_at(field, a);
	const void *at_b = schema_at(field, b);

	/* Unlike counts show in the first bytes, so one length serves both. */
	return memcmp(at_a, at_b, used_bytes(field, at_a)) == 0;
}

u64 schema_diff(const struct schema_layer *layer, enum state_class cls, const void *a,
                const void *b)
{
	u32 first = layer->first[cls];
	u64 vars = 0;

	for (u32 i = first; i < layer->first[cls + 1]; i++) {
		if (!schema_equal(&layer->fields[i], a, b))
			vars |= 1ull << (i - first);
	}
	return vars;
}

void schema_apply(const struct schema_layer *layer, enum state_class cls, u64 vars, void *to,
                  const void *from)
{
	u32 first = layer->first[cls];

	for (u32 i = first; i < layer->first[cls + 1]; i++) {
		const struct schema_field *field = &layer->fields[i];

		if (vars >> (i - first) & 1)
			memcpy(schema_at(field, to), schema_at(field, from), field->size);
	}
}

void schema_clear(const struct schema_layer *layer, void *state)
{
	memset(state, 0, layer->state_bytes);
	for (u32 i = 0; i < layer->n_payload; i++) {
		const struct schema_field *field = &layer->fields[layer->payload[i]];

		if (field->type == SCHEMA_TYPE_data_ref)
			((struct data_ref *)schema_at(field, state))->buf = NIL;
	}
}
