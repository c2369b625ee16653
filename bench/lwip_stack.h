/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One lwIP instance, as a module that is loaded once for each end of the wire.
 *
 * lwIP keeps its state in globals, so two ends need two instances: dlmopen() gives each its own
 * copy of the packaged library. Linking both ends into one instance would double the list that lwIP
 * walks for each segment, which would be unfair to it.
 */
#ifndef BENCH_LWIP_STACK_H
#define BENCH_LWIP_STACK_H

/* Not base/types.h: its struct ip_addr is also a name of lwIP's. */
#include <stdbool.h>
#include <stdint.h>

struct lwip_stack_api;

/* Where a stack puts its frames: the other stack. */
struct lwip_wire {
	const struct lwip_stack_api *to;
};

struct lwip_load {
	uint64_t messages; /* client: answers received */
	uint64_t bytes;    /* server: bytes swallowed */
	uint32_t open;     /* connections established */
	uint32_t failed;   /* connections that ended */
	uint32_t outstanding;
};

struct lwip_stack_api {
	/* Once: address, hardware address, and where frames go. 0 or -Exxx. */
	int (*init)(uint32_t ip, const uint8_t *mac, const struct lwip_stack_api *other);
	/* Copies a frame in; it is processed by the next drain(). False when the queue is full. */
	bool (*receive)(const void *frame, uint32_t len);
	/* Processes what was received before the call; how many frames. */
	uint32_t (*drain)(void);
	/* Runs lwIP's own timers. */
	void (*timers)(void);
	int (*listen)(uint16_t port, bool echo);
	int (*connect)(uint32_t ip, uint16_t port);
	/* Client: whether answers are followed by further requests; starts one on each connection.
	 */
	void (*rr)(bool run);
	/* Client: whether connection 0 writes as much as fits. */
	void (*bulk)(bool run);
	struct lwip_load *load;
};

/* The module's only symbol of use: returns its interface. */
typedef const struct lwip_stack_api *(*lwip_stack_open_fn)(void);
#define LWIP_STACK_OPEN "lwip_stack_open"

#endif
