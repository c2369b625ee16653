/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/check.h"

#include <stdlib.h>

#include "port/gather.h"
#include "sim/stream.h"
#include "wire/parse.h"

enum {
	IDS = 65536,
	IDS_WORDS = IDS / 64,
};

static const char *const words[CHECKS] = {
#define CHECK(name, word, sentence) word,
	CHECK_LIST(CHECK)
#undef CHECK
};

static const char *const sentences[CHECKS] = {
#define CHECK(name, word, sentence) sentence,
	CHECK_LIST(CHECK)
#undef CHECK
};

const char *check_word(enum check check)
{
	return (u32)check < CHECKS ? words[check] : "unknown";
}

const char *check_sentence(enum check check)
{
	return (u32)check < CHECKS ? sentences[check] : "unknown";
}

bool check_init(struct world *w)
{
	u32 n = w->config.n_hosts;

	w->seen.ids = calloc((size_t)n * n * 2 * IDS_WORDS, sizeof(u64));
	return w->seen.ids;
}

void check_fini(struct world *w)
{
	free(w->seen.ids);
}

/* -- frames ------------------------------------------------------------------------------------ */

static const char *name_of(const struct world *w, u32 machine)
{
	return w->config.host[machine].name;
}

/* R61: an ID that one owner has used is never used by the other, as seen on the wire. */
static void ip_id(struct world *w, u32 machine, const u8 *ip, bool by_target)
{
	u32 id = wire_get16(ip + 4);
	u32 remote = ip[17] - 1u; /* net_addr() */
	u64 *own, *other, bit = 1ull << id % 64;

	if (remote >= w->config.n_hosts)
		return;
	own = w->seen.ids + ((machine * w->config.n_hosts + remote) * 2 + by_target) * IDS_WORDS;
	other = by_target ? own - IDS_WORDS : own + IDS_WORDS;
	own[id / 64] |= bit;
	w->checks[CHECK_IP_ID]++;
	if (other[id / 64] & bit)
		world_wrong(w, CHECK_IP_ID, "%s uses IP ID %u to %s by its %s and by the other one",
		            name_of(w, machine), id, name_of(w, remote),
		            by_target ? "target" : "host");
}

static void edge(struct world *w, u32 stream, u32 end, const struct wire_tcp_segment *seg)
{
	struct check_end *e = &w->streams[stream].end[end].seen;
	tcp_seq right = seq_add(seg->ack, (u32)seg->wnd << WORLD_WSCALE);

	w->checks[CHECK_EDGE]++;
	if (e->has_edge && seq_lt(right, e->edge))
		world_wrong(w, CHECK_EDGE,
		            "stream %u of %s: its window's right edge moved left "
		            "by %d",
		            stream, name_of(w, w->streams[stream].end[end].machine),
		            seq_diff(e->edge, right));
	if (e->has_edge && seq_lt(seg->ack, e->ack))
		world_wrong(w, CHECK_SEQUENCE, "stream %u of %s: its ACK went back by %d", stream,
		            name_of(w, w->streams[stream].end[end].machine),
		            seq_diff(e->ack, seg->ack));
	e->edge = right;
	e->ack = seg->ack;
	e->has_edge = true;
}

static void sequence(struct world *w, u32 stream, u32 end, const struct wire_tcp_segment *seg)
{
	struct stream_end *s = &w->streams[stream].end[end];
	struct check_end *e = &s->seen;

	w->checks[CHECK_SEQUENCE]++;
	if (seg->flags & WIRE_SYN) {
		if (e->has_isn && !seq_eq(e->isn, seg->seq))
			world_wrong(w, CHECK_SEQUENCE, "stream %u of %s: another SYN", stream,
			            name_of(w, s->machine));
		e->isn = seg->seq;
		e->has_isn = true;
	}
	if (!(seg->options.present & WIRE_OPT_TIMESTAMPS))
		return;
	if (e->has_ts && (s32)(seg->options.ts_val - e->ts) < 0)
		world_wrong(w, CHECK_SEQUENCE, "stream %u of %s: its timestamp went back by %u",
		            stream, name_of(w, s->machine), e->ts - seg->options.ts_val);
	e->ts = seg->options.ts_val;
	e->has_ts = true;
}

/* Every byte is sent at its own sequence number, the first time and again. */
static void payload(struct world *w, u32 stream, u32 end, const struct tx_frame *f,
                    struct buf_pool *pool, tcp_seq seq)
{
	struct stream_end *s = &w->streams[stream].end[end];
	u32 offset = (u32)seq_diff(seq, seq_add(s->seen.isn, 1)), n;
	struct payload_walk walk;
	const u8 *at;

	if (!f->payload_len || !s->seen.has_isn)
		return;
	payload_walk_init(&walk, pool, f);
	while ((at = payload_walk_next(&walk, UINT32_MAX, &n))) {
		for (u32 i = 0; i < n; i++, offset++) {
			if (at[i] == stream_byte(stream, end, offset) && offset < s->sent + IDS)
				continue;
			world_wrong(w, CHECK_SEQUENCE, "stream %u of %s: byte %u leaves wrong",
			            stream, name_of(w, s->machine), offset);
			return;
		}
	}
}

void check_frame(struct world *w, u32 machine, const struct tx_frame *f, bool by_target)
{
	const struct machine *m = w->machine[machine];
	const u8 *header = f->header + f->header_off;
	struct wire_tcp_segment seg;
	u32 end, stream;

	if (wire_parse_tcp(header, f->header_len, tx_frame_len(f), &seg) != WIRE_OK)
		return; /* no segment: the host's own business */
	if (seg.ip_version == 4)
		ip_id(w, machine, header + seg.ip_off, by_target);
	stream = world_stream(w, seg.flow.remote_port, seg.flow.local_port, &end);
	if (stream == NIL)
		return;
	w->checks[CHECK_RESET]++;
	if (seg.flags & WIRE_RST)
		world_wrong(w, CHECK_RESET, "stream %u: %s sends a RST", stream,
		            name_of(w, machine));
	sequence(w, stream, end, &seg);
	payload(w, stream, end, f, by_target ? m->side[m->active].pool : m->pool, seg.seq);
	if (!(seg.flags & WIRE_SYN) && seg.flags & WIRE_ACK)
		edge(w, stream, end, &seg);
}

/* -- connections ------------------------------------------------------------------------------- */

/* In one stack at a time; the state where it is, false where nobody has it to look at. */
static bool look(struct world *w, u32 stream, u32 end, struct tcp_state *ret)
{
	const struct stream_end *e = &w->streams[stream].end[end];
	const struct machine *m = w->machine[e->machine];
	struct target *t = machine_target(m);
	struct host_conn_info info;
	bool in_stack;
	u32 conn;

	if (!e->adopted || e->released || host_conn_info(m->host, e->host, &info))
		return false;
	w->checks[CHECK_OWNER]++;
	in_stack = soft_state(m->soft, e->soft) != TCP_CLOSED;
	conn = info.device ? target_connection(t, info.device) : NIL;
	if (info.side == HOST_IN_STACK && conn != NIL)
		world_wrong(w, CHECK_OWNER, "stream %u of %s is in the host, and at the target",
		            stream, name_of(w, e->machine));
	if (info.side == HOST_IN_CHIMNEY && (in_stack || conn == NIL))
		world_wrong(w, CHECK_OWNER,
		            "stream %u of %s is in the chimney: stack %u, target %u", stream,
		            name_of(w, e->machine), in_stack, conn != NIL);
	if (info.side == HOST_MOVING && in_stack && conn != NIL)
		world_wrong(w, CHECK_OWNER, "stream %u of %s runs twice in a move", stream,
		            name_of(w, e->machine));
	if (info.side == HOST_MOVING || w->wrong[0])
		return false;
	if (info.side == HOST_IN_STACK)
		return in_stack && soft_look(m->soft, e->soft, ret);
	tcp_conn_export(target_engine(t), conn, w->now_ns, ret);
	return true;
}

static bool is_synchronized(const struct tcp_state *s)
{
	return s->d.state >= TCP_ESTABLISHED && s->d.state <= TCP_LAST_ACK;
}

static void back(struct world *w, u32 stream, u32 end, const char *what)
{
	world_wrong(w, CHECK_SEQUENCE, "stream %u of %s: %s went back", stream,
	            name_of(w, w->streams[stream].end[end].machine), what);
}

/* Positions only grow, on whatever side the connection is. */
static void grows(struct world *w, u32 stream, u32 end, const struct tcp_state *s)
{
	struct check_end *e = &w->streams[stream].end[end].seen;
	const struct tcp_delegated *d = &s->d;

	w->checks[CHECK_SEQUENCE]++;
	if (e->has_state && seq_lt(d->snd_una, e->una))
		back(w, stream, end, "SND.UNA");
	if (e->has_state && seq_lt(d->snd_max, e->max))
		back(w, stream, end, "what was sent");
	if (e->has_state && seq_lt(d->rcv_nxt, e->nxt))
		back(w, stream, end, "RCV.NXT");
	if (e->has_state && seq_lt(d->rcv_adv, e->adv))
		world_wrong(w, CHECK_EDGE, "stream %u of %s: the edge of its state moved left",
		            stream, name_of(w, w->streams[stream].end[end].machine));
	e->una = d->snd_una;
	e->max = d->snd_max;
	e->nxt = d->rcv_nxt;
	e->adv = d->rcv_adv;
	e->has_state = true;
}

/* What an end has acknowledged, its application has, or it lies there for it. */
static void acked(struct world *w, u32 stream, u32 end, const struct tcp_state *s)
{
	const struct stream_end *e = &w->streams[stream].end[end];
	const struct check_end *peer = &w->streams[stream].end[!end].seen;
	bool fin = s->d.fin & TCP_FIN_RECEIVED;
	u32 taken, have, posted = e->posts_out * WORLD_POST_BYTES;

	if (!peer->has_isn)
		return;
	w->checks[CHECK_ACKED]++;
	taken = (u32)seq_diff(s->d.rcv_nxt, seq_add(peer->isn, 1 + fin));
	have = e->received + s->d.recv.len;
	/* Bytes may lie in posted buffers that are not full yet. */
	if (have > taken || have + posted < taken)
		world_wrong(w, CHECK_ACKED,
		            "stream %u of %s: of %u bytes taken from the peer %u "
		            "are there",
		            stream, name_of(w, e->machine), taken, have);
	if (e->seen.has_edge && seq_gt(e->seen.ack, s->d.rcv_nxt))
		world_wrong(w, CHECK_ACKED,
		            "stream %u of %s: it has acknowledged %d bytes more "
		            "than it has",
		            stream, name_of(w, e->machine), seq_diff(e->seen.ack, s->d.rcv_nxt));
}

void check_stream(struct world *w, u32 stream)
{
	struct tcp_state s[2];
	bool there[2];

	for (u32 end = 0; end < 2; end++) {
		there[end] = look(w, stream, end, &s[end]) && is_synchronized(&s[end]);
		if (!there[end])
			continue;
		grows(w, stream, end, &s[end]);
		acked(w, stream, end, &s[end]);
	}
	for (u32 end = 0; end < 2 && there[0] && there[1]; end++) {
		if (seq_gt(s[end].d.snd_una, s[!end].d.rcv_nxt))
			world_wrong(w, CHECK_ACKED,
			            "stream %u: %d bytes that are acknowledged to %s "
			            "are not with its peer",
			            stream, seq_diff(s[end].d.snd_una, s[!end].d.rcv_nxt),
			            name_of(w, w->streams[stream].end[end].machine));
	}
}

/* -- tables ------------------------------------------------------------------------------------ */

void check_tables(struct world *w, u32 machine)
{
	const struct machine *m = w->machine[machine];
	struct target *t = machine_target(m);
	const char *wrong = host_check(m->host);
	struct target_usage target;
	struct host_usage host;

	w->checks[CHECK_REFS]++;
	if (!wrong)
		wrong = target_check(t);
	if (wrong)
		world_wrong(w, CHECK_REFS, "%s: %s", name_of(w, machine), wrong);
	host_usage(m->host, &host);
	target_usage(t, &target);
	if (host.paths_at_device != target.paths || host.neighbors_at_device != target.neighbors)
		world_wrong(w, CHECK_REFS,
		            "%s: the host has %u paths, %u neighbors there, the target %u, %u",
		            name_of(w, machine), host.paths_at_device, host.neighbors_at_device,
		            target.paths, target.neighbors);
	if (!m->busy && host.offloaded != target.connections)
		world_wrong(w, CHECK_REFS, "%s: the host has %u connections there, the target %u",
		            name_of(w, machine), host.offloaded, target.connections);
}

void check_empty(struct world *w, u32 machine)
{
	const struct machine *m = w->machine[machine];
	struct host_usage host;

	w->checks[CHECK_MEMORY]++;
	host_usage(m->host, &host);
	if (host.connections || host.paths || host.neighbors || host.posted || host.parked)
		world_wrong(w, CHECK_MEMORY,
		            "the host of %s keeps %u connections, %u paths, %u neighbors, %u calls",
		            name_of(w, machine), host.connections, host.paths, host.neighbors,
		            host.posted);
	for (u32 i = 0; i < m->config.targets; i++) {
		const struct buf_pool *pool = m->side[i].pool;
		struct target_usage u;

		target_usage(m->side[i].target, &u);
		if (u.connections || u.paths || u.neighbors || u.posted)
			world_wrong(w, CHECK_MEMORY,
			            "target %u of %s keeps %u connections, %u paths, %u neighbors, "
			            "%u calls",
			            i, name_of(w, machine), u.connections, u.paths, u.neighbors,
			            u.posted);
		for (u32 k = 0; k < BUF_CLASSES; k++) {
			if (pool->n_free[k] != w->baseline[machine][i][k])
				world_wrong(w, CHECK_MEMORY, "target %u of %s lost %u buffers", i,
				            name_of(w, machine),
				            w->baseline[machine][i][k] - pool->n_free[k]);
		}
	}
}
