/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Between linux_backend.c and inspect.c. */
#ifndef LINUX_BACKEND_PRIV_H
#define LINUX_BACKEND_PRIV_H

#include "linux/batch.h"
#include "linux/fence.h"
#include "linux/linux_backend.h"
#include "linux/nat.h"
#include "linux/repair.h"
#include "linux/routes.h"
#include "linux/steering.h"

enum {
	BACKEND_PORTS_MAX = 16,
	BACKEND_BATCH = 1024,
};

struct backend_port {
	u32 ifindex;
	u32 port;
	u32 tap;
	u32 fallback; /* XDP mode: the TAP for what comes on queues of other lanes, 0: none */
};

struct linux_backend {
	struct linux_backend_config config;
	struct repair repair;
	struct steering *steering;
	struct routes *routes;
	struct fence *fence;
	struct batch *exports;
	struct linux_conn *conns; /* by descriptor */
	u32 n_conns;
	struct nat nat;
	struct backend_port ports[BACKEND_PORTS_MAX];
	u32 n_ports;
	struct move *batch[BACKEND_BATCH];
	struct steer_key keys[BACKEND_BATCH];
	struct steer_value values[BACKEND_BATCH];
};

/* NULL: no descriptor that this process could have. */
struct linux_conn *backend_conn(struct linux_backend *b, u64 fd);

/* Reads the sockets of up to EXPORT_BATCH moves in one call; *ret is valid until the next. */
int backend_read(struct linux_backend *b, struct move *const *moves, u32 n,
                 const struct export_batch **ret) MUST_CHECK;

/* NULL: not managed. */
struct backend_port *backend_port(struct linux_backend *b, u32 ifindex);

/* backend_ops.inspect */
void backend_inspect(void *impl, struct move *moves, u32 n);

#endif
