/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Query, statistics and the log: every number from the part that owns it. */
#include "lib/internal.h"
#include "tcp/verdict.h"
#include "wire/reason.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 9293 3.3.2 to the kernel's numbers of netinet/tcp.h. */
static const u8 kernel_state[TCP_STATES] = {
	[TCP_CLOSED] = 7,      [TCP_LISTEN] = 10,    [TCP_SYN_SENT] = 2,   [TCP_SYN_RECEIVED] = 3,
	[TCP_ESTABLISHED] = 1, [TCP_FIN_WAIT_1] = 4, [TCP_FIN_WAIT_2] = 5, [TCP_CLOSE_WAIT] = 8,
	[TCP_CLOSING] = 11,    [TCP_LAST_ACK] = 9,   [TCP_TIME_WAIT] = 6,
};

static void info_from_target(const struct tcp_state *s, struct chimney_conn_info *info)
{
	info->offloaded = 1;
	info->state = s->d.state < TCP_STATES ? kernel_state[s->d.state] : 7;
	info->srtt_ns = s->d.srtt_ns;
	info->rttvar_ns = s->d.rttvar_ns;
	info->rto_ns = s->d.rto_ns << min_of(s->d.rto_backoff, (u8)16);
	info->cwnd_bytes = s->d.cwnd_bytes;
	info->ssthresh_bytes = s->d.ssthresh_bytes;
	info->snd_wnd_bytes = s->d.snd_wnd;
	info->rcv_wnd_bytes = s->d.rcv_wnd;
	info->unacked_bytes = s->d.send.len;
	info->unread_bytes = s->d.recv.len;
}

static void info_from_kernel(int fd, struct chimney_conn_info *info)
{
	/* The kernel's struct may be longer than that of the headers: the receive window follows
	 * the send window (Linux 6.2). */
	union {
		struct tcp_info info;
		u8 bytes[512];
	} u = {0};
	struct tcp_info t;
	socklen_t len = sizeof(u);
	u32 at = offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(t.tcpi_snd_wnd);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &u, &len))
		return;
	t = u.info;
	info->state = t.tcpi_state;
	info->srtt_ns = (u64)t.tcpi_rtt * NS_PER_US;
	info->rttvar_ns = (u64)t.tcpi_rttvar * NS_PER_US;
	info->rto_ns = (u64)t.tcpi_rto * NS_PER_US;
	info->cwnd_bytes = t.tcpi_snd_cwnd * t.tcpi_snd_mss;
	info->ssthresh_bytes = t.tcpi_snd_ssthresh >= 0x7fffffff
	                               ? UINT32_MAX
	                               : t.tcpi_snd_ssthresh * t.tcpi_snd_mss;
	info->snd_wnd_bytes = t.tcpi_snd_wnd;
	if (len >= at + sizeof(info->rcv_wnd_bytes))
		memcpy(&info->rcv_wnd_bytes, u.bytes + at, sizeof(info->rcv_wnd_bytes));
	info->path_mtu = t.tcpi_pmtu;
}

EXPORT int chimney_conn_query(struct chimney_conn *conn, struct chimney_conn_info *ret_info)
{
	struct lib_lane *l = conn->lane;
	struct host_conn_info host;
	struct tcp_state state;
	size_t size = ret_info->size;

	if (size < sizeof(*ret_info))
		return lib_fail(-EINVAL, "chimney_conn_info.size is not set");
	memset(ret_info, 0, size);
	ret_info->size = size;
	lane_lock(l->lane);
	if (!host_query(l->host, conn->host, &state))
		info_from_target(&state, ret_info);
	else
		info_from_kernel(conn->fd, ret_info);
	if (!host_conn_info(l->host, conn->host, &host)) {
		ret_info->moves = host.moves;
		ret_info->last_status = host.last_status;
		ret_info->last_detail = host.last_detail;
	}
	lane_unlock(l->lane);
	return 0;
}

static void add_host(struct lib_lane *l, struct chimney_stats *s)
{
	const struct host_counters *c = host_counters(l->host);
	struct host_usage u;

	host_usage(l->host, &u);
	s->adopted_now += u.connections;
	s->offloaded_now += u.offloaded;
	s->paths_now += u.paths_at_device;
	s->neighbors_now += u.neighbors_at_device;
	s->offloads += c->offloads;
	s->offloads_refused += c->offloads_refused;
	s->uploads += c->uploads;
	s->uploads_failed += c->uploads_rolled_back;
	s->upload_requests += c->upload_requests;
	s->updates_sent += c->updates;
	s->parked_frames += c->frames_parked;
	s->parked_dropped += c->frames_not_parked;
}

static void add_moves(struct lib_lane *l, struct chimney_stats *s)
{
	uint64_t *const part[HOST_STEPS] = {
		[HOST_STEP_INSPECT] = &s->move_export_ns,
		[HOST_STEP_HOLD] = &s->move_export_ns,
		[HOST_STEP_FENCE] = &s->move_export_ns,
		[HOST_STEP_FREEZE] = &s->move_export_ns,
		[HOST_STEP_DETACH] = &s->move_export_ns,
		[HOST_STEP_RESERVE] = &s->move_transfer_ns,
		[HOST_STEP_TRANSFER] = &s->move_transfer_ns,
		[HOST_STEP_OWN] = &s->move_transfer_ns,
		[HOST_STEP_FORWARD] = &s->move_transfer_ns,
		[HOST_STEP_UPLOAD] = &s->move_transfer_ns,
		[HOST_STEP_COMMIT] = &s->move_transfer_ns,
		[HOST_STEP_IMPORT] = &s->move_import_ns,
		[HOST_STEP_INJECT] = &s->move_import_ns,
		[HOST_STEP_RELEASE] = &s->move_import_ns,
	};

	for (u32 i = 0; i < HOST_STEPS; i++)
		*part[i] += host_step_ns(l->host, (enum host_step_name)i);
}

static void add_ports(struct lib_lane *l, struct chimney_stats *s)
{
	for (u32 i = 0; i < l->n_ports; i++) {
		struct port_counters p;

		l->ports[i]->ops->counters(l->ports[i], &p);
		s->rx_frames += p.rx_frames;
		s->rx_bytes += p.rx_bytes;
		s->tx_frames += p.tx_frames;
		s->tx_bytes += p.tx_bytes;
		s->port_dropped += p.rx_no_buffer + p.tx_failed;
	}
}

static void add_target(struct lib_lane *l, struct chimney_stats *s)
{
	const struct tcp_engine_counters *c = tcp_engine_counters(target_engine(l->target));
	struct target_usage u;

	target_usage(l->target, &u);
	s->bytes_per_connection = u.bytes_per_connection;
	s->retransmits += c->retransmit_segs;
	/* Reasons of the parser, of the engine, and those that send a frame to the host. */
	for (u32 i = 0; i < TCP_TO_HOST_NO_CONNECTION; i++) {
		if (i >= WIRE_REASONS || wire_reason_is_drop((enum wire_reason)i))
			s->segments_dropped += c->reasons[i];
	}
}

EXPORT int chimney_context_stats(struct chimney_context *context, struct chimney_stats *ret_stats)
{
	size_t size = ret_stats->size;

	if (size < sizeof(*ret_stats))
		return lib_fail(-EINVAL, "chimney_stats.size is not set");
	memset(ret_stats, 0, size);
	ret_stats->size = size;
	for (u32 i = 0; i < context->n_lanes; i++) {
		struct lib_lane *l = &context->lanes[i];
		struct lane_counters lane;

		lane_lock(l->lane);
		add_host(l, ret_stats);
		add_moves(l, ret_stats);
		add_ports(l, ret_stats);
		add_target(l, ret_stats);
		lane_counters(l->lane, &lane);
		ret_stats->lane_sleeps += lane.sleeps;
		lane_unlock(l->lane);
	}
	return 0;
}
