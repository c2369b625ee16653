/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The server and the client of kernel_load.h with connections that libchimney has offloaded: made
 * as kernel sockets, adopted, and moved in one call before the load begins. The lane runs in the
 * application's thread.
 */
#ifndef BENCH_CHIMNEY_LOAD_H
#define BENCH_CHIMNEY_LOAD_H

#include "kernel_load.h"

struct chimney_context;
struct chimney_conn;

struct chimney_load {
	struct load_state kernel; /* the sockets before they are adopted */
	const char *interface;
	u32 port_mode; /* enum chimney_port_mode */
	struct chimney_context *context;
	struct chimney_conn **conns;
	u32 n;
};

/* Handlers for bench_child_config; state is a struct chimney_load with interface and mode set. */
int chimney_server_handle(void *state, struct bench_msg *msg);
int chimney_client_handle(void *state, struct bench_msg *msg);

#endif
