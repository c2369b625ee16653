// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/sockstate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/inet_diag.h>

#include "state/bbr.h"

/* The kernel's numbers of states (include/net/tcp_states.h). */
enum {
	K_ESTABLISHED = 1,
	K_SYN_SENT,
	K_SYN_RECV,
	K_FIN_WAIT1,
	K_FIN_WAIT2,
	K_TIME_WAIT,
	K_CLOSE,
	K_CLOSE_WAIT,
	K_LAST_ACK,
	K_LISTEN,
	K_CLOSING,
};

enum {
	ECN_OK = 1, /* TCP_ECN_OK */
	CA_CWR = 2, /* the window is being reduced, nothing missing */
	NONAGLE_OFF = 1,
	NONAGLE_CORK = 2,
	PENDING_RETRANSMIT = 1,
	PENDING_PROBE = 3,
	PENDING_LOSS_PROBE = 5,
	PENDING_REORDER = 6,
	RTO_MAX_S = 120,
	KERNEL_CWND_INFINITE = 0x7fffffff,
	BBR_GAIN_UNIT = 256,
	BBR_GAIN_PROBE_UP = 320,
	BBR_GAIN_PROBE_DOWN = 192,
};

/* Number `which` of those in the file. */
static u32 sysctl_read_nth(const char *path, u32 which, u32 otherwise)
{
	char text[64] = {0}, *at = text, *end = text;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	u32 value = otherwise;

	if (fd < 0)
		return otherwise;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = 0;
	close(fd);
	for (u32 i = 0; i <= which; i++) {
		at = end;
		value = (u32)strtoul(at, &end, 10);
		if (end == at)
			return otherwise;
	}
	return value;
}

static u32 sysctl_read(const char *path, u32 otherwise)
{
	return sysctl_read_nth(path, 0, otherwise);
}

void sock_defaults_read(struct sock_defaults *ret)
{
	ret->keepalive_idle_ns =
		sysctl_read("/proc/sys/net/ipv4/tcp_keepalive_time", 7200) * NS_PER_S;
	ret->keepalive_interval_ns =
		sysctl_read("/proc/sys/net/ipv4/tcp_keepalive_intvl", 75) * NS_PER_S;
	ret->keepalive_probes = sysctl_read("/proc/sys/net/ipv4/tcp_keepalive_probes", 9);
	ret->fin_timeout_ns = sysctl_read("/proc/sys/net/ipv4/tcp_fin_timeout", 60) * NS_PER_S;
	ret->retries2 = sysctl_read("/proc/sys/net/ipv4/tcp_retries2", 15);
	ret->rcvbuf_max = sysctl_read_nth("/proc/sys/net/ipv4/tcp_rmem", 2, 6 << 20);
	ret->ttl = sysctl_read("/proc/sys/net/ipv4/ip_default_ttl", 64);
	ret->hop_limit = sysctl_read("/proc/sys/net/ipv6/conf/default/hop_limit", 64);
}

enum tcp_state_name sock_state_name(u8 kernel_state)
{
	static const u8 names[] = {
		[K_ESTABLISHED] = TCP_ESTABLISHED,
		[K_SYN_SENT] = TCP_SYN_SENT,
		[K_SYN_RECV] = TCP_SYN_RECEIVED,
		[K_FIN_WAIT1] = TCP_FIN_WAIT_1,
		[K_FIN_WAIT2] = TCP_FIN_WAIT_2,
		[K_TIME_WAIT] = TCP_TIME_WAIT,
		[K_CLOSE] = TCP_CLOSED,
		[K_CLOSE_WAIT] = TCP_CLOSE_WAIT,
		[K_LAST_ACK] = TCP_LAST_ACK,
		[K_LISTEN] = TCP_LISTEN,
		[K_CLOSING] = TCP_CLOSING,
	};

	return kernel_state < ARRAY_SIZE(names) ? (enum tcp_state_name)names[kernel_state]
	                                        : TCP_CLOSED;
}

bool sock_fin_received(u8 s)
{
	return s == K_CLOSE_WAIT || s == K_LAST_ACK || s == K_CLOSING;
}

/* Our FIN is queued or sent, and not acknowledged: write_seq counts it. */
static bool fin_outstanding(u8 s)
{
	return s == K_FIN_WAIT1 || s == K_CLOSING || s == K_LAST_ACK;
}

u32 sock_send_bytes(const struct sock_export *e)
{
	return e->write_seq - e->snd_una - (fin_outstanding(e->state) ? 1 : 0);
}

u32 sock_recv_bytes(const struct sock_export *e)
{
	u32 bytes = e->rcv_nxt - e->copied_seq;

	return bytes && sock_fin_received(e->state) ? bytes - 1 : bytes;
}

enum tcp_cc_algorithm sock_cc_algorithm(const char *name)
{
	if (!strncmp(name, "cubic", 16))
		return TCP_CC_CUBIC;
	if (!strncmp(name, "bbr", 16))
		return TCP_CC_BBR;
	return TCP_CC_NEWRENO;
}

static u64 jiffies_ns(const struct sock_export *e, u64 jiffies)
{
	return jiffies * NS_PER_S / (e->hz ? e->hz : 1000);
}

/* Age of a stamp that holds the low half of jiffies. */
static u64 stamp_age_ns(const struct sock_export *e, u32 stamp)
{
	s32 age = (s32)((u32)e->now_jiffies - stamp);

	return age > 0 ? jiffies_ns(e, (u32)age) : 0;
}

static u64 timer_left_ns(const struct sock_export *e, u64 expires)
{
	if (expires == EXPORT_NO_TIMER)
		return TIMER_STOPPED;
	return (s64)(expires - e->now_jiffies) > 0 ? jiffies_ns(e, expires - e->now_jiffies) : 0;
}

static void state_identity(const struct sock_export *e, struct tcp_const *k)
{
	k->local_port = e->local_port;
	k->remote_port = e->remote_port;
	k->snd_wscale = e->snd_wscale;
	k->rcv_wscale = e->rcv_wscale;
	k->peer_mss = e->mss_clamp;
	if (e->facts & EXPORT_TSTAMPS)
		k->options |= TCP_OPT_TIMESTAMPS;
	if (e->facts & EXPORT_SACK)
		k->options |= TCP_OPT_SACK;
	if (e->facts & EXPORT_WSCALE)
		k->options |= TCP_OPT_WSCALE;
	if (e->ecn_flags & ECN_OK)
		k->options |= TCP_OPT_ECN;
	if (e->facts & EXPORT_USEC_TS)
		k->options |= TCP_OPT_USEC_TS;
}

/* The time after which tcp_retries2 doublings from the shortest RTO have passed (RFC 9293 R2). */
static u64 retries_ns(u32 retries)
{
	u64 total = 0, rto = 200 * NS_PER_MS;

	for (u32 i = 0; i <= retries && i < 64; i++) {
		total += rto;
		rto = min_of(2 * rto, (u64)RTO_MAX_S * NS_PER_S);
	}
	return total;
}

/* A model paces whatever the socket says; the others only when it asks. */
static u64 pacing_of(const struct sock_export *e)
{
	bool limited = e->max_pacing_rate != UINT64_MAX && (u32)e->max_pacing_rate != UINT32_MAX;

	if (limited)
		return max_of(e->max_pacing_rate, (u64)1);
	return e->facts & EXPORT_PACED && sock_cc_algorithm(e->cc) != TCP_CC_BBR ? UINT64_MAX : 0;
}

static void state_settings(const struct sock_export *e, const struct sock_defaults *d,
                           struct tcp_cached *c)
{
	bool v6 = memcmp(e->local, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) != 0;

	c->nodelay = (e->nonagle & NONAGLE_OFF) != 0;
	c->cork = (e->nonagle & NONAGLE_CORK) != 0;
	c->keepalive = (e->facts & EXPORT_KEEPALIVE) != 0;
	c->keepalive_probes =
		(u8)(e->keepalive_probes ? e->keepalive_probes : min_of(d->keepalive_probes, 255u));
	c->keepalive_idle_ns =
		e->keepalive_time ? jiffies_ns(e, e->keepalive_time) : d->keepalive_idle_ns;
	c->keepalive_interval_ns =
		e->keepalive_intvl ? jiffies_ns(e, e->keepalive_intvl) : d->keepalive_interval_ns;
	c->effective_mss = 0; /* from path MTU and peer MSS, which already minds TCP_MAXSEG */
	c->rcv_buf_bytes = e->rcvbuf;
	c->rcv_buf_max_bytes = e->facts & EXPORT_RCVBUF_LOCKED ? 0 : d->rcvbuf_max;
	c->snd_buf_bytes = e->sndbuf;
	c->max_retransmit_ns = retries_ns(d->retries2);
	c->user_timeout_ns = e->user_timeout_ms * NS_PER_MS;
	c->fin_wait2_ns = e->linger2 > 0 ? jiffies_ns(e, (u32)e->linger2) : d->fin_timeout_ns;
	c->tos = v6 ? e->tclass : e->tos;
	c->hop_limit = (u8)(v6 ? (e->hop_limit >= 0 ? (u32)e->hop_limit : d->hop_limit)
	                       : (e->ttl >= 0 ? (u32)e->ttl : d->ttl));
	c->flow_label = __builtin_bswap32(e->flow_label) & 0xfffff;
	c->priority = (u8)min_of(e->priority, 255u);
	c->cc_algorithm = (u8)sock_cc_algorithm(e->cc);
	c->max_pacing_rate = pacing_of(e);
}

static void state_position(const struct sock_export *e, struct tcp_delegated *d)
{
	u32 right_edge = e->rcv_wup + e->rcv_wnd;

	d->state = (u8)sock_state_name(e->state);
	d->rcv_nxt = seq_of(e->rcv_nxt);
	/* The kernel may have been sent bytes beyond the edge it once advertised: no window then.
	 */
	d->rcv_wnd = (s32)(right_edge - e->rcv_nxt) > 0 ? right_edge - e->rcv_nxt : 0;
	d->rcv_adv = seq_add(d->rcv_nxt, d->rcv_wnd);
	d->snd_una = seq_of(e->snd_una);
	d->snd_nxt = seq_of(e->snd_nxt);
	d->snd_max = seq_of(e->snd_nxt); /* the kernel never moves snd_nxt back */
	d->snd_wnd = e->snd_wnd;
	d->snd_wl1 = seq_of(e->snd_wl1);
	d->snd_wl2 = seq_of(e->snd_una);
	d->max_snd_wnd = e->max_window;
	d->snd_up = seq_of(e->snd_up);
	d->rcv_up = seq_of(e->rcv_nxt);
	if (fin_outstanding(e->state))
		d->fin = TCP_FIN_QUEUED | (e->snd_nxt == e->write_seq ? TCP_FIN_SENT : 0);
	else if (e->state == K_FIN_WAIT2)
		d->fin = TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_ACKED;
	if (sock_fin_received(e->state))
		d->fin |= TCP_FIN_RECEIVED;
	d->send.buf = NIL;
	d->send.len = sock_send_bytes(e);
	d->recv.buf = NIL;
	d->recv.len = sock_recv_bytes(e);
}

static u32 segs_bytes(const struct sock_export *e, u64 segs)
{
	return (u32)min_of(segs * e->mss_cache, (u64)UINT32_MAX);
}

/* What RACK, PRR and undo know. The kernel counts segments, and its stamp lacks the offset. */
static void state_recovery(const struct sock_export *e, struct tcp_delegated *d)
{
	u32 prior = e->prior_cwnd;

	d->reordering = e->reordering;
	d->reo_steps = e->reo_wnd_steps;
	d->reo_persist = e->reo_wnd_persist;
	if (d->recovery == TCP_RECOVERY_FAST) {
		d->prr_delivered = segs_bytes(e, e->prr_delivered);
		d->prr_out = segs_bytes(e, e->prr_out);
		d->prr_flight = segs_bytes(e, e->prior_cwnd);
	}
	if (!e->undo_marker)
		return;
	if (e->prior_ssthresh < KERNEL_CWND_INFINITE)
		prior = max_of(prior, e->prior_ssthresh);
	d->undo_window = segs_bytes(e, prior);
	d->undo_marker = seq_of(e->undo_marker);
	d->undo_bytes = segs_bytes(e, (u64)max_of(e->undo_retrans, 0));
	if (e->retrans_stamp)
		d->repeat_ts = e->retrans_stamp + e->tsoffset;
}

static void state_congestion(const struct sock_export *e, u64 now_ns, struct tcp_delegated *d)
{
	static const u8 recovery[] = {TCP_RECOVERY_OPEN, TCP_RECOVERY_DISORDER,
	                              TCP_RECOVERY_FAST, /* CWR: the window is being reduced */
	                              TCP_RECOVERY_FAST, TCP_RECOVERY_LOSS};

	d->cwnd_bytes = (u32)min_of((u64)e->snd_cwnd * e->mss_cache, (u64)UINT32_MAX);
	d->ssthresh_bytes =
		e->snd_ssthresh >= KERNEL_CWND_INFINITE
			? UINT32_MAX
			: (u32)min_of((u64)e->snd_ssthresh * e->mss_cache, (u64)UINT32_MAX);
	d->srtt_ns = (u64)e->srtt_us * NS_PER_US / 8;
	d->rttvar_ns = (u64)e->mdev_us * NS_PER_US / 4;
	if (d->srtt_ns == 0)
		d->rttvar_ns = 0;
	d->min_rtt_ns = e->min_rtt_us == UINT32_MAX ? 0 : (u64)e->min_rtt_us * NS_PER_US;
	d->rto_ns = jiffies_ns(e, e->rto_jiffies) >> e->backoff;
	d->rto_backoff = e->backoff;
	d->recovery = e->ca_state < sizeof(recovery) ? recovery[e->ca_state] : TCP_RECOVERY_OPEN;
	d->recovery_point = seq_of(e->high_seq);
	state_recovery(e, d);
	if (e->ecn_flags & ECN_OK)
		d->ecn_state = e->ecn_flags & ECN_KERNEL_BITS;
	if (e->ecn_flags & ECN_OK && e->ca_state == CA_CWR)
		d->ecn_state |= TCP_ECN_REDUCED;
	d->ecn_point = seq_of(e->high_seq);
	d->ts_recent = e->ts_recent;
	d->ts_recent_age_ns = e->ts_recent_stamp > 0 && now_ns > (u64)e->ts_recent_stamp * NS_PER_S
	                              ? now_ns - (u64)e->ts_recent_stamp * NS_PER_S
	                              : 0;
	d->ts_offset = e->tsoffset;
	d->last_ack_sent = seq_of(e->rcv_wup);
	d->pacing_rate =
		e->facts & EXPORT_PACED && e->pacing_rate != UINT64_MAX ? e->pacing_rate : 0;
	d->idle_ns = stamp_age_ns(e, e->lsndtime);
	d->rcv_idle_ns = stamp_age_ns(e, e->rcv_tstamp);
}

static void state_timers(const struct sock_export *e, struct tcp_delegated *d)
{
	u64 left = timer_left_ns(e, e->retransmit_expires);

	d->retransmit_left_ns = e->pending == PENDING_RETRANSMIT ? left : TIMER_STOPPED;
	if (e->pending == PENDING_LOSS_PROBE || e->pending == PENDING_REORDER)
		d->retransmit_left_ns = jiffies_ns(e, e->rto_jiffies);
	d->persist_left_ns = e->pending == PENDING_PROBE ? left : TIMER_STOPPED;
	d->keepalive_left_ns = e->facts & EXPORT_KEEPALIVE ? timer_left_ns(e, e->keepalive_expires)
	                                                   : TIMER_STOPPED;
	d->fin_wait2_left_ns = TIMER_STOPPED; /* the kernel runs it for orphans only */
	d->delayed_ack_left_ns = timer_left_ns(e, e->delack_expires);
	d->retransmit_count = e->retransmits;
	d->persist_count = e->probes_out;
}

/* Its mode is told by its gains, which no two modes share. */
static enum bbr_mode mode_of(const struct tcp_bbr_info *info)
{
	if (info->bbr_pacing_gain > BBR_GAIN_PROBE_UP)
		return BBR_STARTUP;
	if (info->bbr_pacing_gain < BBR_GAIN_PROBE_DOWN)
		return BBR_DRAIN;
	return info->bbr_cwnd_gain > BBR_GAIN_UNIT ? BBR_PROBE_BW : BBR_PROBE_RTT;
}

static u8 phase_of(u32 pacing_gain)
{
	return pacing_gain > BBR_GAIN_UNIT ? 0 : pacing_gain < BBR_GAIN_UNIT ? 1 : 2;
}

void sock_bbr_to_state(const struct tcp_bbr_info *info, u64 now_ns, struct cc_private *ret)
{
	u64 bw = ((u64)info->bbr_bw_hi << 32 | info->bbr_bw_lo) >> BBR_BW_SHIFT;
	struct bbr_model b = {
		.min_rtt_us = info->bbr_min_rtt ? info->bbr_min_rtt : UINT32_MAX,
		.min_rtt_at_ms = (u32)(now_ns / NS_PER_MS),
		.phase_at_us = (u32)(now_ns / NS_PER_US),
		.mode = (u8)mode_of(info),
		.phase = phase_of(info->bbr_pacing_gain),
		.flags = BBR_SAW_RTT,
	};

	for (u32 i = 0; i < ARRAY_SIZE(b.bw); i++)
		b.bw[i] = (u32)min_of(bw, (u64)UINT32_MAX);
	b.full_bw = b.bw[0];
	if (b.mode != BBR_STARTUP)
		b.flags |= BBR_FULL_PIPE;
	*ret = (struct cc_private){.type = TCP_CC_BBR, .version = BBR_VERSION, .len = sizeof(b)};
	memcpy(ret->bytes, &b, sizeof(b));
}

u64 sock_bbr_bandwidth(const struct cc_private *cc)
{
	struct bbr_model b;

	memcpy(&b, cc->bytes, sizeof(b));
	return (u64)b.bw[0] << BBR_BW_SHIFT;
}

void sock_to_state(const struct sock_export *e, const struct sock_defaults *defaults, u64 now_ns,
                   struct tcp_state *ret)
{
	memset(ret, 0, sizeof(*ret));
	state_identity(e, &ret->k);
	state_settings(e, defaults, &ret->c);
	state_position(e, &ret->d);
	state_congestion(e, now_ns, &ret->d);
	state_timers(e, &ret->d);
}
