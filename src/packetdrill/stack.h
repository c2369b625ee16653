/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The stack under a script: one simulated machine (soft host, target, the host side between them)
 * in virtual time. Its port is the script: packets come from it and go to it, without a wire.
 */
#ifndef PACKETDRILL_STACK_H
#define PACKETDRILL_STACK_H

#include "sim/machine.h"

struct stack_config {
	struct ip_addr local;
	u32 mtu;
	u32 offload_every; /* 0: never by itself */
	bool read_sysctls;
	s32 timestamps, sack, window_scaling, ecn; /* sysctls: -1 as the kernel has it */
	s32 rmem, wmem;                            /* default sizes of the buffers */
};

/* An IP packet that the stack sent. */
struct packet_out {
	struct packet_out *next;
	u64 time_ns;
	u32 len;
	u8 bytes[];
};

/* The port of the machine. */
struct script_port {
	struct port port;
	struct buf_pool *pool;
	struct rx_frame *rx;
	u32 rx_at, rx_n, rx_cap;
	struct packet_out *tx_head, **tx_tail;
	u64 bad_checksums; /* of segments that the stack sent */
	u64 now_ns;
};

struct stack {
	struct stack_config config;
	struct machine *machine; /* NULL until the first socket */
	struct script_port port;
	u64 now_ns;
	u64 events;
	bool at_target; /* where connections belong now */
	bool moving;
	bool again; /* set by `turned`: there is more to do at once */
	u16 next_port;
	/* What the sockets are told; set by their owner. */
	void *ctx;
	void (*turned)(void *ctx); /* after each turn: look for what happened */
	/* All connections of the sockets, into `ret` (room for `cap`); how many. */
	u32 (*connections)(void *ctx, handle *ret, u32 cap);
	void (*notice)(void *ctx, const struct host_notice *notices, u32 n);
};

enum {
	STACK_CONNECTIONS = 64,
	STACK_LISTENERS = 16,
	STACK_PATHS = 8,
};

/* Reads "name=value,..." into a configuration with its defaults. NULL, or what is wrong (static, or
 * in `text`). */
const char *stack_config_read(struct stack_config *ret, const char *flags, char text[256]);

void stack_init(struct stack *k, const struct stack_config *config);
void stack_free(struct stack *k);
/* Makes the machine unless it is there: 0 or -ENOMEM. */
int stack_start(struct stack *k);

/* Lets the machine do all that is due now. */
void stack_turn(struct stack *k);
/* When it must be turned next; UINT64_MAX: never. */
u64 stack_next_ns(const struct stack *k);
/* Sets the time without turning; it never goes back. */
void stack_set_time(struct stack *k, u64 now_ns);

/* An IP packet from the script. -EMSGSIZE, -EINVAL: no IP packet; -ENOBUFS. */
int stack_send(struct stack *k, const void *packet, size_t len);
/* The oldest packet that the stack sent, the caller frees it; NULL: none. */
struct packet_out *stack_receive(struct stack *k);

/* Counts an event of the script, and moves the connections when it is time to. */
void stack_event(struct stack *k);
/* Moves all connections; how many are at the target now. */
u32 stack_move(struct stack *k, bool to_target);

/* A route to `remote` by the one neighbor there is. 0 or -ENOSPC. */
int stack_route(struct stack *k, const struct ip_addr *remote);

/* A connection that the stack has accepted, in the order of establishment; false: none. */
struct stack_accepted {
	u64 soft;
	struct ip_addr remote;
	u16 local_port, remote_port;
};
bool stack_accept(struct stack *k, struct stack_accepted *ret);

/* Writes the settings of a connection, wherever it is. */
void stack_settings(struct stack *k, u64 soft, handle host, const struct tcp_cached *settings);

/* Settings that a connection begins with. */
struct tcp_cached stack_default_settings(const struct stack_config *config);

bool stack_is_at_target(const struct stack *k, handle host);

/* The state of a connection, wherever it is; false: it is gone. */
bool stack_look(struct stack *k, u64 soft, handle host, struct tcp_state *ret_state);

#endif
