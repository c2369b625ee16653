/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A second stack of layers, made without a change to the core (R5): the neighbors and paths of
 * schema_tcp with connectionless flows above them.
 */
#ifndef UDP_STACK_H
#define UDP_STACK_H

#include "state/schema.h"

struct udp_flow {
	u16 local_port;
	u16 remote_port;
	u8 hop_limit;
	u64 datagrams;
	struct data_ref unread;
};

#define UDP_FIELD(n, c, t, u)                                                          \
	{                                                                              \
		.name = #n, .unit = u, .source = "RFC 768",                            \
		.offset = offsetof(struct udp_flow, n),                                \
		.size = sizeof(((struct udp_flow *)NULL)->n), .type = SCHEMA_TYPE_##t, \
		.cls = CLASS_##c, .layer = LAYER_TCP,                                  \
	}

static const struct schema_field udp_fields[] = {
	UDP_FIELD(local_port, CONST, u16, "-"),
	UDP_FIELD(remote_port, CONST, u16, "-"),
	UDP_FIELD(hop_limit, CACHED, u8, "hops"),
	UDP_FIELD(datagrams, DELEGATED, u64, "datagrams"),
	UDP_FIELD(unread, DELEGATED, data_ref, "bytes"),
};

static const u16 udp_payload[] = {4};

static inline const char *udp_check(const void *state, u32 classes)
{
	return ((const struct udp_flow *)state)->remote_port ? NULL : "remote_port is 0.";
}

static const struct schema_layer udp_layer = {
	.name = "udp",
	.fields = udp_fields,
	.first = {0, 2, 3, 5},
	.state_bytes = sizeof(struct udp_flow),
	.n_payload = 1,
	.payload = udp_payload,
	.check = udp_check,
};

/* schema_tcp with its last layer replaced. */
static inline struct schema udp_stack(void)
{
	return (struct schema){
		{schema_tcp.layer[LAYER_NEIGHBOR], schema_tcp.layer[LAYER_PATH], &udp_layer}};
}

#endif
