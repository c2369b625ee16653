/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A packet script as events: the subset of the packetdrill language that is told in
 * docs/packet-scripts.md. Parsing makes them, running reads them.
 */
#ifndef PACKETDRILL_SCRIPT_H
#define PACKETDRILL_SCRIPT_H

#include <stdio.h>

#include "base/types.h"

/* -- expressions of system calls --------------------------------------------------------------- */

enum expr_kind {
	EXPR_ELLIPSIS, /* ... : we choose, or anything will do */
	EXPR_INT,
	EXPR_STRING,
	EXPR_LIST,   /* [a, b] */
	EXPR_STRUCT, /* {a, b} */
	EXPR_NAMED,  /* name=child, also name(...)=child */
};

struct expr {
	u8 kind;
	s64 value;
	char *text; /* STRING, NAMED; INT: as it was written */
	struct expr *child, *next;
};

/* -- packets ----------------------------------------------------------------------------------- */

enum {
	ECN_ANY, /* not said */
	ECN_NONE,
	ECN_ECT1,
	ECN_ECT0,
	ECN_CE,
	OPTIONS_MAX = 40,
};

struct icmp_spec {
	bool is; /* it is one */
	u8 type, code;
	u32 mtu;
	bool has_mtu;
	u32 seq, len; /* of the segment that is quoted */
	bool has_seq;
};

struct packet_spec {
	bool out;
	u8 flags; /* wire_tcp_flags */
	u8 ecn;
	s32 tos, ttl;           /* -1: not said */
	s64 flow_label;         /* -1: not said */
	bool bad_csum;          /* send it damaged */
	char *src, *dst;        /* other addresses, NULL: the connection's */
	u16 src_port, dst_port; /* 0: of the connection under test */
	u32 seq, len;
	u32 ack, win, urg;
	bool has_seq, has_ack, has_win, has_urg;
	bool any_options; /* <...> */
	u8 options[OPTIONS_MAX];
	u32 n_options;
	s32 ts_at; /* where the value of the timestamp lies in `options`; -1: none */
	struct icmp_spec icmp;
};

/* -- events ------------------------------------------------------------------------------------ */

enum time_kind {
	TIME_ABSOLUTE,
	TIME_RELATIVE,
	TIME_ANY, /* * */
};

enum event_kind {
	EVENT_PACKET,
	EVENT_CALL,
	EVENT_CHECK,   /* %{ }% */
	EVENT_COMMAND, /* `sysctl ...` */
};

struct event {
	struct event *next;
	int line;
	u8 kind;
	u8 time_kind;
	s64 usecs, usecs_end; /* end: of a range, or of a blocking call; -1: none */
	struct packet_spec packet;
	char *text; /* name of the call, text of the check or command */
	struct expr *args;
	struct expr *result;
	char *errno_name; /* NULL: success */
};

struct script {
	const char *file;
	char *bytes;
	struct event *events;
	s64 tolerance_usecs;
	int ip_version; /* 4 or 6 */
	u32 mtu;
	char *local_ip, *remote_ip; /* NULL: the usual ones */
	u16 bind_port, connect_port;
	bool moves;      /* --all may move its connections */
	char flags[256]; /* sysctls, as flags of the object */
	char error[512]; /* "file:line: what; what to do" */
};

/* False: `error` says what is wrong. Either way script_free() is due. */
bool script_read(struct script *s, const char *file);
void script_free(struct script *s);

/* -- parts of the parser ----------------------------------------------------------------------- */

struct text {
	struct script *script;
	const char *at;
	int line;
	bool failed;
};

/* Says what is wrong at the present line, once; always false. */
__attribute__((format(printf, 2, 3))) bool text_fail(struct text *t, const char *format, ...);
/* Skips blanks, newlines and comments. */
void text_skip(struct text *t);
/* Takes the word or sign if it comes next. */
bool text_take(struct text *t, const char *sign);
bool text_need(struct text *t, const char *sign);
/* A word of letters, digits and _, allocated; NULL: none there. */
char *text_word(struct text *t);
bool text_is_word(const struct text *t, const char *word);
/* An integer, decimal or hexadecimal; false without a word when there is none. */
bool text_int(struct text *t, s64 *ret);
/* Seconds with a fraction, in microseconds. */
bool text_seconds(struct text *t, s64 *ret);
char *text_slice(const char *from, const char *to);

bool parse_packet(struct text *t, struct event *e);
bool parse_call(struct text *t, struct event *e);
void expr_free(struct expr *e);

/* The value of a name of <sys/socket.h> and the like; false: not known. */
bool symbol_value(const char *name, s64 *ret);
/* Of an errno; -1: not known. */
int symbol_errno(const char *name);
const char *symbol_errno_name(int error);

#endif
