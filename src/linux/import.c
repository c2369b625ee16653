// SPDX-License-Identifier: BSD-2-Clause-Patent
/* A connection back into its kernel socket: the other half of repair.c. */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <time.h>

#include <linux/tcp.h>

#include "linux/repair.h"
#include "wire/tcp.h"

#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP (-1)
#endif

enum {
	OPTION_MSS = 2,
	OPTION_WSCALE = 3,
	OPTION_SACK = 4,
	OPTION_TIMESTAMPS = 8,
	KERNEL_CWND_INFINITE = 0x7fffffff,
	KERNEL_CWND_INITIAL = 10, /* RFC 6928 */
	SETTLE_SPINS = 1000,      /* looks at the socket before sleeping between them */
	SETTLE_MS = 2000,         /* how long an injected segment may take on a busy machine */
};

/* One import under way. */
struct import {
	struct repair *r;
	int fd;
	struct linux_conn *conn;
	const struct tcp_state *state;
	struct buf_pool *pool;
	u32 snd_start, rcv_start; /* sequence numbers where the queues begin */
	u32 sent_bytes;           /* of the send queue */
};

static bool has_fin(const struct import *im, u8 bits)
{
	return (im->state->d.fin & bits) == bits;
}

static int set_sequence(const struct import *im, int queue, u32 seq)
{
	int err = repair_set_int(im->r, im->fd, TCP_REPAIR_QUEUE, queue);

	return err ? err : repair_set_int(im->r, im->fd, TCP_QUEUE_SEQ, (int)seq);
}

/* Nothing will be sent any more. */
static bool is_over(const struct tcp_state *state)
{
	return state->d.state == TCP_TIME_WAIT || state->d.state == TCP_CLOSED;
}

/* The one byte in front of snd_una whose ACK lets the kernel measure srtt again. */
static bool measures_rtt(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;

	return im->r->restore_rtt && d->srtt_ns && (im->state->k.options & TCP_OPT_TIMESTAMPS) &&
	       !has_fin(im, TCP_FIN_ACKED);
}

static void import_plan(struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	u32 sent = (u32)seq_diff(d->snd_max, d->snd_una);

	if (has_fin(im, TCP_FIN_SENT) && !has_fin(im, TCP_FIN_ACKED) && sent)
		sent--;
	im->sent_bytes = min_of(sent, d->send.len);
	im->snd_start = d->snd_una.n - (has_fin(im, TCP_FIN_ACKED) ? 1 : 0);
	if (measures_rtt(im))
		im->snd_start--;
	im->rcv_start = d->rcv_nxt.n - d->recv.len - (has_fin(im, TCP_FIN_RECEIVED) ? 1 : 0);
}

static int set_options(const struct import *im)
{
	const struct tcp_const *k = &im->state->k;
	struct tcp_repair_opt opts[4];
	u32 n = 0;

	opts[n++] = (struct tcp_repair_opt){OPTION_MSS, k->peer_mss};
	if (k->options & TCP_OPT_WSCALE)
		opts[n++] = (struct tcp_repair_opt){OPTION_WSCALE,
		                                    k->snd_wscale | (u32)k->rcv_wscale << 16};
	if (k->options & TCP_OPT_SACK)
		opts[n++] = (struct tcp_repair_opt){OPTION_SACK, 0};
	if (k->options & TCP_OPT_TIMESTAMPS)
		opts[n++] = (struct tcp_repair_opt){OPTION_TIMESTAMPS, 0};
	return im->r->sys->setsockopt(im->fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opts,
	                              (socklen_t)(n * sizeof(opts[0])))
	               ? -errno
	               : 0;
}

/* The clock's offset outlives a detach, so this is needed only where the target has changed it.
 * The low bit says "microseconds" and is no part of the time (trap 7). */
static int set_timestamp(const struct import *im)
{
	bool usec = (im->conn->flags & CONN_USEC_TS) != 0;
	u32 value;

	if (!(im->state->k.options & TCP_OPT_TIMESTAMPS) ||
	    im->state->d.ts_offset == im->conn->tsoffset)
		return 0;
	value = (u32)(im->r->now_ns / (usec ? NS_PER_US : NS_PER_MS)) + im->state->d.ts_offset;
	value = ((value + 1) & ~1u) | usec;
	return repair_set_int(im->r, im->fd, TCP_TIMESTAMP, (int)value);
}

/* A detached socket keeps its receive sequence, and which queue was selected: an idle connection
 * needs one call. The send queue is selected afterwards. */
static int import_sequences(const struct import *im)
{
	bool selected = (im->conn->flags & CONN_SEND_QUEUE) != 0;
	int err = 0;

	im->conn->flags &= (u8)~CONN_SEND_QUEUE;
	if (im->rcv_start != im->conn->rcv_nxt) {
		err = set_sequence(im, TCP_RECV_QUEUE, im->rcv_start);
		selected = false;
	}
	if (err)
		return err;
	return selected ? repair_set_int(im->r, im->fd, TCP_QUEUE_SEQ, (int)im->snd_start)
	                : set_sequence(im, TCP_SEND_QUEUE, im->snd_start);
}

static int import_connect(const struct import *im)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int err = 0;

	if (im->conn->flags & CONN_UNBOUND) {
		len = repair_address(im->conn, true, &addr);
		if (im->r->sys->bind(im->fd, (struct sockaddr *)&addr, len) && errno != EINVAL)
			return -errno;
		im->conn->flags &= (u8)~CONN_UNBOUND;
	}
	err = import_sequences(im);
	if (err)
		return err;
	len = repair_address(im->conn, false, &addr);
	if (im->r->sys->connect(im->fd, (struct sockaddr *)&addr, len))
		return -errno;
	err = set_options(im); /* before any byte is written (trap 6) */
	return err ? err : set_timestamp(im);
}

/* The send queue is the current repair queue when this is called, and afterwards. */
static int import_queues(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	int err = 0;

	if (d->recv.len) {
		err = repair_set_int(im->r, im->fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
		if (!err)
			err = queue_write(im->r->sys, im->fd, im->pool, &d->recv, 0, d->recv.len);
		if (!err)
			err = repair_set_int(im->r, im->fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	}
	if (!err && measures_rtt(im) && im->r->sys->send(im->fd, "", 1, MSG_NOSIGNAL) != 1)
		err = -errno;
	if (!err && im->sent_bytes)
		err = queue_write(im->r->sys, im->fd, im->pool, &d->send, 0, im->sent_bytes);
	return err;
}

static int import_window(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	/* The kernel wants the last ACK sent not beyond rcv_nxt, where a FIN is still missing. */
	tcp_seq rcv_nxt = seq_of(im->rcv_start + d->recv.len);
	tcp_seq wup = seq_min(d->last_ack_sent, rcv_nxt);
	struct tcp_repair_window w = {
		.snd_wl1 = d->snd_wl1.n,
		.snd_wnd = d->snd_wnd,
		.max_window = max_of(d->max_snd_wnd, d->snd_wnd),
		.rcv_wnd = (u32)seq_diff(d->rcv_adv, wup),
		.rcv_wup = wup.n,
	};

	return im->r->sys->setsockopt(im->fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w))
	               ? -errno
	               : 0;
}

static struct cc_restore congestion_of(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	u32 mss = im->conn->mss;

	return (struct cc_restore){
		.snd_cwnd = max_of((u32)(((u64)d->cwnd_bytes + mss / 2) / mss), 1u),
		.snd_ssthresh = d->ssthresh_bytes == UINT32_MAX
	                                ? KERNEL_CWND_INFINITE
	                                : max_of(d->ssthresh_bytes / mss, 2u),
		.local_port = im->state->k.local_port,
		.set_ecn = (im->state->k.options & TCP_OPT_ECN) != 0,
		.ecn_flags = d->ecn_state & ECN_KERNEL_BITS,
		.armed = 1,
	};
}

/* What connect has set already: a connection that never grew its window, nor lost anything. */
static bool congestion_is_initial(const struct import *im, const struct cc_restore *want)
{
	return want->snd_cwnd == KERNEL_CWND_INITIAL &&
	       want->snd_ssthresh == KERNEL_CWND_INFINITE && !want->set_ecn &&
	       !(im->conn->flags & CONN_ROUTE_CWND);
}

/* Selects the restoring algorithm, whose init() writes what the connection had, then its own. */
static int import_congestion(const struct import *im)
{
	const char *name = programs_cc_name(im->r->programs);
	struct cc_restore want = congestion_of(im), *slot;
	int err = 0;

	if (congestion_is_initial(im, &want))
		return 0;
	slot = programs_cc_lock(im->r->programs);
	*slot = want;
	if (im->r->sys->setsockopt(im->fd, IPPROTO_TCP, TCP_CONGESTION, name,
	                           (socklen_t)strlen(name)) ||
	    im->r->sys->setsockopt(im->fd, IPPROTO_TCP, TCP_CONGESTION, im->conn->cc,
	                           (socklen_t)strnlen(im->conn->cc, sizeof(im->conn->cc))))
		err = -errno;
	slot->armed = 0;
	programs_cc_unlock(im->r->programs);
	return err;
}

/* -- half-closed states (trap 15) ---------------------------------------------------------------
 */

static int inject(const struct import *im, u8 flags, u32 seq, u32 ack, u32 ts_ecr)
{
	const struct tcp_delegated *d = &im->state->d;
	struct synth_segment s = {
		.flow = &im->conn->key,
		.seq = seq_of(seq),
		.ack = seq_of(ack),
		.wnd = (u16)min_of(d->snd_wnd >> im->state->k.snd_wscale, 0xffffu),
		.flags = flags | WIRE_ACK,
		.timestamps = (im->state->k.options & TCP_OPT_TIMESTAMPS) != 0,
		.ts_val = d->ts_recent,
		.ts_ecr = ts_ecr,
	};

	return im->r->inject(im->r->impl, im->conn, &s);
}

/* Waits until the socket shows what an injected segment does: the kernel may process it on another
 * CPU, or in a thread of its own that has to wait for its turn. */
static int settle(const struct import *im, enum tcp_state_name want, u32 snd_una)
{
	const struct timespec nap = {.tv_nsec = NS_PER_MS / 10};
	struct sock_export e;

	for (u32 i = 0; i < SETTLE_SPINS + SETTLE_MS * 10; i++) {
		int err = repair_export(im->r, im->fd, &e);

		if (err)
			return err;
		if (sock_state_name(e.state) == want && e.snd_una == snd_una)
			return 0;
		if (i < SETTLE_SPINS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
	return -ETIMEDOUT;
}

static int inject_fin(const struct import *im, enum tcp_state_name want)
{
	const struct tcp_delegated *d = &im->state->d;
	int err = inject(im, WIRE_FIN, d->rcv_nxt.n - 1, d->snd_una.n, 0);

	return err ? err : settle(im, want, d->snd_una.n);
}

static int half_close(const struct import *im)
{
	return im->r->sys->shutdown(im->fd, SHUT_WR) ? -errno : 0;
}

/* The peer's ACK of our FIN. */
static int inject_fin_ack(const struct import *im, u32 seq, enum tcp_state_name want)
{
	int err = inject(im, 0, seq, im->state->d.snd_una.n, 0);

	return err ? err : settle(im, want, im->state->d.snd_una.n);
}

/* The peer closed first; then we did, unless the state is CLOSE_WAIT. */
static int import_passive(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	u32 before_our_fin = d->snd_una.n - (has_fin(im, TCP_FIN_ACKED) ? 1 : 0);
	int err = inject(im, WIRE_FIN, d->rcv_nxt.n - 1, before_our_fin, 0);

	if (!err)
		err = settle(im, TCP_CLOSE_WAIT, before_our_fin);
	if (!err && has_fin(im, TCP_FIN_SENT))
		err = half_close(im);
	if (!err && d->state == TCP_CLOSED)
		err = inject_fin_ack(im, d->rcv_nxt.n, TCP_CLOSED);
	return err;
}

/* We closed first. Where the peer has closed too, its FIN comes last: from FIN_WAIT_2 that makes
 * the kernel's own TIME_WAIT, which no call can make (trap 16). */
static int import_active(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	u32 seq = d->rcv_nxt.n - (has_fin(im, TCP_FIN_RECEIVED) ? 1 : 0);
	int err = has_fin(im, TCP_FIN_SENT) ? half_close(im) : 0;

	if (!err && has_fin(im, TCP_FIN_ACKED))
		err = inject_fin_ack(im, seq, TCP_FIN_WAIT_2);
	if (!err && d->state == TCP_CLOSING)
		err = inject_fin(im, TCP_CLOSING);
	if (!err && d->state == TCP_TIME_WAIT)
		err = inject_fin(im, TCP_CLOSED); /* of the socket: its place is taken over */
	return err;
}

static int import_states(const struct import *im)
{
	u8 state = im->state->d.state;

	if (state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSED)
		return import_passive(im);
	return import_active(im);
}

/* The kernel takes the round-trip time of data restored in repair mode from the echoed timestamp:
 * an ACK that echoes "now - srtt" gives back srtt, and the RTO with it (trap 9). */
static int import_rtt(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	u64 unit = im->conn->flags & CONN_USEC_TS ? NS_PER_US : NS_PER_MS;
	u32 clock = (u32)(im->r->now_ns / unit) + d->ts_offset;
	u32 rcv_nxt = im->rcv_start + d->recv.len;

	/* Nothing below depends on when the kernel sees it, so nobody waits. */
	return inject(im, 0, rcv_nxt, d->snd_una.n, clock - (u32)(d->srtt_ns / unit));
}

static int import_repaired(const struct import *im)
{
	bool quiet = im->state->d.fin != 0;
	int err = import_queues(im);

	if (!err)
		err = import_window(im);
	if (!err && measures_rtt(im))
		err = import_rtt(im);
	if (!err && quiet) {
		im->r->mute(im->r->impl, im->conn, true);
		err = import_states(im);
		im->r->mute(im->r->impl, im->conn, false);
	}
	if (!err && !is_over(im->state))
		err = import_congestion(im);
	return err;
}

/* What was never sent goes out by the ordinary way, after repair mode; then our FIN, if queued. */
static int import_unsent(const struct import *im)
{
	const struct tcp_delegated *d = &im->state->d;
	int err = 0;

	if (d->send.len > im->sent_bytes)
		err = queue_write(im->r->sys, im->fd, im->pool, &d->send, im->sent_bytes,
		                  d->send.len - im->sent_bytes);
	if (!err && has_fin(im, TCP_FIN_QUEUED) && !has_fin(im, TCP_FIN_SENT))
		err = half_close(im);
	return err;
}

/* Reset or timed out: there is no connection to put back, the descriptor is that of a closed one.
 */
static bool was_aborted(const struct tcp_state *state)
{
	const u8 both = TCP_FIN_ACKED | TCP_FIN_RECEIVED;

	return state->d.state == TCP_CLOSED && (state->d.fin & both) != both;
}

enum status repair_import(struct repair *r, int fd, struct linux_conn *conn,
                          const struct tcp_state *state, struct buf_pool *pool, u64 *ret_detail)
{
	struct import im = {.r = r, .fd = fd, .conn = conn, .state = state, .pool = pool};
	int on = 1, err;

	if (was_aborted(state)) {
		repair_thaw(r, fd, conn);
		return STATUS_OK;
	}
	import_plan(&im);
	err = import_connect(&im);
	if (!err)
		err = import_repaired(&im);
	if (!err)
		err = repair_set_int(r, fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	if (!err) {
		if (conn->flags & CONN_REUSEADDR)
			(void)r->sys->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		err = import_unsent(&im);
		if (err)
			(void)!repair_set_int(r, fd, TCP_REPAIR, TCP_REPAIR_ON);
	}
	if (!err)
		return STATUS_OK;
	/* Back to where it was: detached, with its port, its sequence numbers unknown. */
	conn->rcv_nxt = im.rcv_start - 1;
	(void)!repair_disconnect(r, fd, conn);
	*ret_detail = (u64)-err;
	return STATUS_FAILED;
}
