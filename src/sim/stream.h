/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The application of a world: patterned bytes both ways, checked as they arrive. */
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include "sim/world.h"

enum {
	STREAM_CLIENT_PORT = 10000,
	STREAM_CLIENTS = 50000, /* client ports of one server port */
	STREAM_SERVER_PORT = 80,
	STREAM_SERVERS = 8,
};

static inline u16 stream_client_port(u32 stream)
{
	return (u16)(STREAM_CLIENT_PORT + stream % STREAM_CLIENTS);
}

static inline u16 stream_server_port(u32 stream)
{
	return (u16)(STREAM_SERVER_PORT + stream / STREAM_CLIENTS);
}

/* The byte at an offset of what end `end` of a stream sends. */
u8 stream_byte(u32 stream, u32 end, u32 offset);

/* Sizes, by the world's seed. False: out of memory. */
bool stream_init(struct world *w, u32 stream, u32 group);
/* Which stream and end an owner that was given to a host is. */
u32 stream_of(const struct world *w, const void *owner, u32 *ret_end);
/* A posted call has completed. */
void stream_done(struct world *w, const struct host_done *done);
/* The end sends and receives what it can. */
void stream_run(struct world *w, u32 stream, u32 end);
/* Both ends may write so many bytes more. */
void stream_allow(struct world *w, u32 stream, u32 bytes);
bool stream_is_done(const struct world *w, u32 stream);
/* Ends that are closed leave their host. */
void stream_reap(struct world *w, u32 stream);
/* Whatever state it is in, at the end of all. */
void stream_close(struct world *w, u32 stream);

/* A sum that grows while any stream gets on. */
u64 streams_progress(const struct world *w);
/* The first stream that is not done, in words. Valid until the next call. */
const char *streams_state(struct world *w);

#endif
