/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Running a script against the functions of a shared object, as packetdrill does. Numbers of a
 * script are relative where the stack chooses: our initial sequence number, descriptors, ports and
 * timestamp values; they are learned from what the stack sends.
 *
 * Payload is a pattern of the position in the stream, so bytes are compared, not only counted.
 */
#ifndef PACKETDRILL_RUN_H
#define PACKETDRILL_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "packetdrill/interface.h"
#include "packetdrill/script.h"

enum {
	PACKET_MAX = 65536,
	IOV_MAX_OURS = 16,
	POLL_MAX = 8,
	TS_MAX = 64,
	FDS_MAX = 64,
	OPTION_VALUE_MAX = 512,
};

/* One connection as the script sees it. */
struct flow {
	struct flow *next;
	u16 local_port, remote_port; /* 0: not known yet */
	bool has_iss, has_irs;
	bool again;          /* another SYN came in: the next one of ours may have a new number */
	u32 iss, script_iss; /* ours, on the wire and in the script */
	u32 irs, next_irs;
	struct {
		u32 script, live;
	} ts[TS_MAX]; /* timestamp values that the stack sent */
	u32 n_ts;
	u32 ts_first; /* on the wire, and when */
	s64 ts_first_usecs;
};

struct script_fd {
	s32 script, live; /* -1: free */
	u32 written, read;
};

/* One system call: what it gets, what it answered. */
struct call {
	const struct packetdrill_interface *ifc;
	const struct call_type *type;
	const struct event *event;
	struct script_fd *fd;
	int live;
	s64 arg[4];
	u8 *bytes;
	struct iovec iov[IOV_MAX_OURS];
	u32 n_iov;
	struct msghdr msg;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	u8 value[OPTION_VALUE_MAX];
	socklen_t value_len;
	struct pollfd polls[POLL_MAX];
	struct epoll_event events[POLL_MAX];
	int fds[2];
	s64 result;
	int error;
	s64 base_usecs, end_usecs; /* of a call that waits: what its times count from, its end */
};

struct run_config {
	const char *flags; /* for the object, besides what the script says; may be empty */
	bool strict;       /* no packet may be left over, timestamps must fit */
	u32 move_line;     /* moved to the target before the event of this line, back after it */
	bool move_whole;   /* at the target for all of the script but its end */
	bool moves; /* connections change sides in this run: an ACK that is owed leaves before
	             * (semantics of an upload), so pure ACKs may come early, and be more */
	void (*init)(const char *flags, struct packetdrill_interface *ifc);
	int (*move)(void *userdata, int to_target);
	int (*waits)(void *userdata);
};

struct run {
	struct run_config config;
	const struct script *script;
	struct packetdrill_interface ifc;
	struct flow *flows, *flow; /* all; the one under test */
	struct script_fd fds[FDS_MAX];
	s32 last_fd;  /* script's, of the last connection: what checks are about */
	bool spliced; /* payload is no pattern any more */
	bool moving_whole;
	u16 next_remote_port;
	u8 local[16], remote[16]; /* as in struct ip_addr */
	s64 start_usecs;
	s64 base_usecs; /* of relative times */
	u32 moved;      /* most connections that were at the target at once */
	u8 *packet;     /* PACKET_MAX */
	bool pushed_back;
	size_t packet_len;
	s64 packet_usecs;
	/* A call that waits in a thread of its own. */
	struct call pending;
	bool has_pending;
	pthread_t thread;
	atomic_bool done;
	char error[1024]; /* "file:line: ..."; empty: all is well */
};

/* Runs it once: false: `error` says what happened. */
bool run_script(struct run *r, const struct script *script, const struct run_config *config);
void run_free(struct run *r);

/* -- parts ------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) bool run_fail(struct run *r, const struct event *e,
                                                    const char *format, ...);
s64 run_now(struct run *r);
/* An event's own time, in microseconds since the start. */
s64 run_event_usecs(const struct run *r, const struct event *e, s64 usecs);
/* |a - b| within the script's tolerance. */
bool run_is_near(const struct run *r, s64 a, s64 b);
u8 run_pattern(bool out, u32 offset);

/* run_packet.c */
bool run_packet_in(struct run *r, const struct event *e);
bool run_packet_out(struct run *r, const struct event *e);
/* False: a packet was sent that no event has asked for. */
bool run_packet_none_left(struct run *r, const struct event *last);
/* packet.c */
size_t packet_build(struct run *r, struct flow *f, const struct packet_spec *p, u8 *to);
size_t packet_build_icmp(struct run *r, struct flow *f, const struct packet_spec *p, u8 *to);
void packet_describe(const struct flow *f, const u8 *packet, size_t len, char *text, size_t size);
void packet_describe_spec(const struct packet_spec *p, char *text, size_t size);

/* run_call.c */
bool run_call(struct run *r, const struct event *e);
/* Ends the call that waits, letting time go on until it returns. */
bool run_await(struct run *r);
struct script_fd *run_fd(struct run *r, s32 script);

/* call_types.c */
struct call_type {
	const char *name;
	u32 n_args;
	bool (*prepare)(struct run *r, struct call *c, const struct expr *const arg[]);
	void (*invoke)(struct call *c);
	bool (*finish)(struct run *r, struct call *c, const struct expr *const arg[]); /* or NULL */
	bool makes_fd;
};
const struct call_type *call_type_find(const char *name, u32 n_args);
/* call_options.c: the calls about options and readiness. */
const struct call_type *call_option_find(const char *name, u32 n_args);
/* Arguments: each false when the script is wrong. */
bool call_int(struct run *r, struct call *c, const struct expr *e, s64 *ret);
bool call_fd(struct run *r, struct call *c, const struct expr *e);
const struct expr *call_member(const struct expr *e, const char *name);
#define CALL_RESULT(c, call)          \
	do {                          \
		errno = 0;            \
		(c)->result = (call); \
		(c)->error = errno;   \
	} while (0)

/* check.c */
bool run_check(struct run *r, const struct event *e);

#endif
