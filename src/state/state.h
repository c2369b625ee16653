/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The state objects, made from the schema: struct neighbor_state, path_state, tcp_state, each with
 * its CONST, CACHED and DELEGATED parts as members `k`, `c` and `d` ("konst", cached, delegated).
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "state/types.h"

/* The types of schema.def as C types. */
typedef struct mac_addr state_t_mac_addr;
typedef struct ip_addr state_t_ip_addr;
typedef struct vlan_stack state_t_vlan_stack;
typedef struct seq_ranges state_t_seq_ranges;
typedef struct cc_private state_t_cc_private;
typedef struct data_ref state_t_data_ref;
typedef struct ooo_refs state_t_ooo_refs;
typedef tcp_seq state_t_tcp_seq;
typedef u8 state_t_u8;
typedef u16 state_t_u16;
typedef u32 state_t_u32;
typedef u64 state_t_u64;

/*
 * One struct for each layer and class. Selection by token pasting: a line of the schema expands to
 * its field in the struct of its own layer and class, and to nothing in the others.
 */
#include "state/state_structs.h"

struct neighbor_state {
	struct neighbor_const k;
	struct neighbor_cached c;
	struct neighbor_delegated d;
};

struct path_state {
	struct path_const k;
	struct path_cached c;
	struct path_delegated d;
};

struct tcp_state {
	struct tcp_const k;
	struct tcp_cached c;
	struct tcp_delegated d;
};

#endif
