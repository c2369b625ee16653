/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The schema as data: a descriptor for each state variable, and what can be done with any state
 * object by its descriptors alone: read, write, compare, apply changes. The binary form
 * (state/binary.h), JSON (state/json.h) and the ownership rules (state/owner.h) know no variable by
 * name, they go by these tables.
 *
 * So a second stack of layers, with states of its own (UDP flows, security associations), is a
 * second `struct schema` with tables made from lines of its own; nothing here changes (R5).
 */
#ifndef STATE_SCHEMA_H
#define STATE_SCHEMA_H

#include "state/state.h"

/* The types that a variable can have; the names are those of schema.def. */
enum schema_type {
	SCHEMA_TYPE_u8,
	SCHEMA_TYPE_u16,
	SCHEMA_TYPE_u32,
	SCHEMA_TYPE_u64,
	SCHEMA_TYPE_tcp_seq,
	SCHEMA_TYPE_mac_addr,
	SCHEMA_TYPE_ip_addr,
	SCHEMA_TYPE_vlan_stack,
	SCHEMA_TYPE_seq_ranges,
	SCHEMA_TYPE_cc_private,
	SCHEMA_TYPE_data_ref,
	SCHEMA_TYPE_ooo_refs,
	SCHEMA_TYPES,
};

struct schema_field {
	const char *name;
	const char *unit;
	const char *source;
	u16 offset; /* in the state object of the layer */
	u16 size;
	u8 type; /* enum schema_type */
	u8 cls;  /* enum state_class: exactly one (R11) */
	u8 layer;
	u8 pad;
};

/* One layer: its variables, class after class (CONST, CACHED, DELEGATED). */
struct schema_layer {
	const char *name;
	const struct schema_field *fields;
	u16 first[STATE_CLASSES + 1]; /* of each class, by index into fields; last: their number */
	u16 state_bytes;
	u16 n_payload;
	const u16 *payload; /* indexes of the fields that refer to payload */
	/* NULL or what is wrong with the parts of the state that `classes` (block_flags) names. */
	const char *(*check)(const void *state, u32 classes);
};

/* A stack of layers. */
struct schema {
	const struct schema_layer *layer[LAYERS];
};

/* The stack that schema.def describes: neighbor, path, TCP. */
extern const struct schema schema_tcp;

/* Every variable of schema.def, by number: SCHEMA_TCP_snd_una. */
enum schema_var {
#define VAR(layer, cls, type, name, unit, source) SCHEMA_##layer##_##name,
#include "state/schema.def"
#undef VAR
	SCHEMA_VARS,
};

/* The first variable of each layer and class, for SCHEMA_BIT() below. */
enum schema_first {
	SCHEMA_NEIGHBOR_CONST = SCHEMA_NEIGHBOR_source_mac,
	SCHEMA_NEIGHBOR_CACHED = SCHEMA_NEIGHBOR_next_hop_mac,
	SCHEMA_NEIGHBOR_DELEGATED = SCHEMA_NEIGHBOR_device_reachable_ns,
	SCHEMA_PATH_CONST = SCHEMA_PATH_local_addr,
	SCHEMA_PATH_CACHED = SCHEMA_PATH_path_mtu,
	SCHEMA_PATH_DELEGATED = SCHEMA_PATH_next_ip_id,
	SCHEMA_TCP_CONST = SCHEMA_TCP_local_port,
	SCHEMA_TCP_CACHED = SCHEMA_TCP_nodelay,
	SCHEMA_TCP_DELEGATED = SCHEMA_TCP_state,
};

/* The bit of one variable in a set that schema_diff() returned for its layer and class:
 * `changed & SCHEMA_BIT(TCP, CACHED, nodelay)`. */
#define SCHEMA_BIT(layer, cls, name) (1ull << (SCHEMA_##layer##_##name - SCHEMA_##layer##_##cls))

/* "neighbor", "path", "tcp"; "const", "cached", "delegated"; "u32" and so on. Never NULL. */
const char *schema_class_name(enum state_class cls);
const char *schema_type_name(enum schema_type type);

/* The descriptor of a variable of schema_tcp. */
const struct schema_field *schema_field(enum schema_var var);

/* The one class that a variable of schema_tcp belongs to. */
enum state_class schema_class_of(enum schema_var var);

/* The field of this name (`len` bytes), NULL: none. `hint`, an index into the layer's fields, is
 * tried first. */
const struct schema_field *schema_find(const struct schema_layer *layer, const char *name,
                                       size_t len, u32 hint);

/* A number that differs when layers, names, types, classes, or their order do. */
u64 schema_hash(const struct schema *schema);

/* Where the variable lies in `state`, an object of the field's layer. */
static inline void *schema_at(const struct schema_field *field, const void *state)
{
	return (u8 *)state + field->offset;
}

/* Value of a u8, u16, u32, u64 or tcp_seq variable. -EINVAL: of another type. */
int schema_get(const struct schema_field *field, const void *state, u64 *ret_value) MUST_CHECK;

/* Sets one. -EINVAL: of another type; -ERANGE: does not fit. */
int schema_set(const struct schema_field *field, void *state, u64 value) MUST_CHECK;

/* Is the variable the same in both? What lies behind the count of an array is not compared;
 * payload is compared as reference, not as bytes. */
bool schema_equal(const struct schema_field *field, const void *a, const void *b);

/*
 * Which variables of this class differ: bit n is the n-th of the class. At an update the host
 * compares what the device has with what it has now, the device applies what came: 64 variables are
 * the most that a class can have.
 */
u64 schema_diff(const struct schema_layer *layer, enum state_class cls, const void *a,
                const void *b);

/* Copies the variables of the set; bits without a variable are ignored. */
void schema_apply(const struct schema_layer *layer, enum state_class cls, u64 vars, void *to,
                  const void *from);

/* Zeroes the whole object; references to payload become empty ones. */
void schema_clear(const struct schema_layer *layer, void *state);

#endif
