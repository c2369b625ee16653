/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "driver/filter/monitor.h"
#include "base/fmt.h"
#include "offload/request.h"

const char *filter_call_word(enum filter_call call)
{
	static const char *const words[FILTER_CALLS] = {
		"offload", "transfer", "upload",  "commit",     "update",  "invalidate",
		"query",   "send",     "receive", "disconnect", "forward",
	};

	return (u32)call < FILTER_CALLS ? words[call] : "unknown";
}

/* -- notes ------------------------------------------------------------------------------------- */

static void note(struct monitor *m, enum monitor_what what, u32 kind, u32 status, u32 n, u64 id)
{
	m->trace[m->n_traced++ % MONITOR_TRACE] =
		(struct monitor_trace){m->now_ns, id, (u8)what, (u8)kind, (u16)status, n};
}

static u32 place_of(u64 key, u32 call)
{
	return (u32)((key ^ call) * 0x9e3779b97f4a7c15ull >> 40) & (MONITOR_FLYING - 1);
}

/* Two calls at one place: the later one is measured. */
static void begin(struct monitor *m, enum filter_call call, u64 key)
{
	u32 i = place_of(key, call);

	m->flying[i].key = key;
	m->flying[i].at_ns = m->now_ns;
	m->flying[i].call = (u8)call;
}

static void forget(struct monitor *m, enum filter_call call, u64 key)
{
	u32 i = place_of(key, call);

	if (m->flying[i].key == key && m->flying[i].call == call)
		m->flying[i].key = 0;
}

static void finish(struct monitor *m, enum filter_call call, u64 key)
{
	u32 i = place_of(key, call), bucket = 0;

	if (!key || m->flying[i].key != key || m->flying[i].call != call)
		return;
	for (u64 ns = m->now_ns - m->flying[i].at_ns; ns && bucket < MONITOR_LATENCIES - 1;
	     ns >>= 1)
		bucket++;
	m->count.call[call].ns[bucket]++;
	m->flying[i].key = 0;
}

/* -- state calls ------------------------------------------------------------------------------- */

static void called(struct monitor *m, enum filter_call call, struct offload_request *request)
{
	m->count.call[call].calls++;
	begin(m, call, (u64)(uintptr_t)request);
}

/* The request may be gone when this is called with 0. */
static int answered(struct monitor *m, enum filter_call call, struct offload_request *request,
                    u32 blocks, u64 cookie, int error)
{
	note(m, MONITOR_CALL, call, (u32)-error, blocks, cookie);
	if (error) {
		m->count.call[call].refused++;
		forget(m, call, (u64)(uintptr_t)request);
	}
	return error;
}

#define STATE_CALL(name, CALL)                                                           \
	static int see_##name(void *impl, struct offload_request *request)               \
	{                                                                                \
		struct monitor *m = impl;                                                \
		u32 blocks = request->list->n_blocks;                                    \
		u64 cookie = request->cookie;                                            \
                                                                                         \
		called(m, CALL, request);                                                \
		return answered(m, CALL, request, blocks, cookie,                        \
		                m->chain.below.ops->name(m->chain.below.impl, request)); \
	}
STATE_CALL(offload, FILTER_OFFLOAD)
STATE_CALL(transfer, FILTER_TRANSFER)
STATE_CALL(upload, FILTER_UPLOAD)

static void see_commit(void *impl, struct offload_request *request)
{
	struct monitor *m = impl;

	m->count.call[FILTER_COMMIT].calls++;
	note(m, MONITOR_CALL, FILTER_COMMIT, 0, request->list->n_blocks, request->cookie);
	m->chain.below.ops->commit(m->chain.below.impl, request);
}

#define LAYER_CALL(stem, LAYER, name, CALL)                                         \
	static int see_##stem##_##name(void *impl, struct offload_request *request) \
	{                                                                           \
		struct monitor *m = impl;                                           \
		struct device *d = &m->chain.below;                                 \
		u32 blocks = request->list->n_blocks;                               \
		u64 cookie = request->cookie;                                       \
                                                                                    \
		called(m, CALL, request);                                           \
		return answered(m, CALL, request, blocks, cookie,                   \
		                d->layer[LAYER]->name(d->impl, request));           \
	}
#define LAYER_TABLE(stem, LAYER)                                                                  \
	LAYER_CALL(stem, LAYER, update, FILTER_UPDATE)                                            \
	LAYER_CALL(stem, LAYER, invalidate, FILTER_INVALIDATE)                                    \
	LAYER_CALL(stem, LAYER, query, FILTER_QUERY)                                              \
	static const struct layer_ops stem##_ops = {see_##stem##_update, see_##stem##_invalidate, \
	                                            see_##stem##_query}
LAYER_TABLE(neighbor, LAYER_NEIGHBOR);
LAYER_TABLE(path, LAYER_PATH);
LAYER_TABLE(tcp, LAYER_TCP);

static void see_complete(void *impl, struct offload_request *request)
{
	static const u8 calls[BLOCK_CALLS] = {
		[BLOCK_CALL_OFFLOAD] = FILTER_OFFLOAD, [BLOCK_CALL_UPLOAD] = FILTER_UPLOAD,
		[BLOCK_CALL_UPDATE] = FILTER_UPDATE,   [BLOCK_CALL_INVALIDATE] = FILTER_INVALIDATE,
		[BLOCK_CALL_QUERY] = FILTER_QUERY,     [BLOCK_CALL_TRANSFER] = FILTER_TRANSFER,
	};
	struct monitor *m = impl;
	enum filter_call call = calls[request->call];
	u32 ok = offload_list_count(request->list, STATUS_OK);

	m->count.call[call].completions++;
	m->count.call[call].failed += request->list->n_blocks - ok;
	/* A second phase completes as the offload that it belongs to. */
	finish(m, call, (u64)(uintptr_t)request);
	finish(m, FILTER_TRANSFER, (u64)(uintptr_t)request);
	note(m, MONITOR_COMPLETION, call, STATUS_OK, ok, request->cookie);
	m->chain.above.ops->complete(m->chain.above.impl, request);
}

/* -- data calls -------------------------------------------------------------------------------- */

static void data_called(struct monitor *m, enum filter_call call, u64 cookie, u32 bytes,
                        bool posted)
{
	m->count.call[call].calls++;
	note(m, MONITOR_CALL, call, 0, bytes, cookie);
	if (posted)
		begin(m, call, cookie);
}

static void see_send(void *impl, struct send_call *calls, u32 n)
{
	struct monitor *m = impl;

	for (u32 i = 0; i < n; i++)
		data_called(m, FILTER_SEND, calls[i].cookie, calls[i].len,
		            !(calls[i].flags & SEND_BUFFERED));
	m->chain.below.data->send(m->chain.below.impl, calls, n);
}

static void see_receive(void *impl, struct recv_call *calls, u32 n)
{
	struct monitor *m = impl;

	for (u32 i = 0; i < n; i++)
		data_called(m, FILTER_RECEIVE, calls[i].cookie, calls[i].len,
		            !(calls[i].flags & RECV_NOW) && calls[i].len);
	m->chain.below.data->receive(m->chain.below.impl, calls, n);
}

static void see_disconnect(void *impl, struct disconnect_call *calls, u32 n)
{
	struct monitor *m = impl;

	for (u32 i = 0; i < n; i++)
		data_called(m, FILTER_DISCONNECT, calls[i].cookie, 0, true);
	m->chain.below.data->disconnect(m->chain.below.impl, calls, n);
}

static void see_forward(void *impl, struct forward_call *calls, u32 n)
{
	struct monitor *m = impl;

	for (u32 i = 0; i < n; i++)
		data_called(m, FILTER_FORWARD, calls[i].conn, calls[i].frame->len, false);
	m->chain.below.data->forward(m->chain.below.impl, calls, n);
	for (u32 i = 0; i < n; i++)
		m->count.call[FILTER_FORWARD].failed += calls[i].status != STATUS_OK;
}

static void see_data_complete(void *impl, const struct data_completion *done, u32 n)
{
	static const u8 calls[DATA_KINDS] = {FILTER_SEND, FILTER_RECEIVE, FILTER_DISCONNECT};
	struct monitor *m = impl;

	for (u32 i = 0; i < n; i++) {
		enum filter_call call = calls[done[i].kind];

		m->count.call[call].completions++;
		m->count.call[call].failed += done[i].status != STATUS_OK;
		finish(m, call, done[i].cookie);
		note(m, MONITOR_COMPLETION, call, done[i].status, done[i].bytes, done[i].cookie);
	}
	m->chain.above.ops->data_complete(m->chain.above.impl, done, n);
}

static void see_indicate(void *impl, const struct indication *ind, u32 n)
{
	struct monitor *m = impl;

	for (u32 i = 0; i < n; i++) {
		m->count.indications[ind[i].kind]++;
		note(m, MONITOR_INDICATION, ind[i].kind, 0, (u32)ind[i].detail, ind[i].host);
	}
	m->chain.above.ops->indicate(m->chain.above.impl, ind, n);
}

/* -- frames ------------------------------------------------------------------------------------ */

static const char *verdict_word(u32 verdict)
{
	static const char *const words[] = {"pending", "taken", "to-host", "dropped"};

	return words[min_of(verdict, (u32)FRAME_DROPPED)];
}

static void show(struct monitor *m, bool out, u32 port, u32 captured, u32 bytes,
                 const char *comment)
{
	struct monitor_frame f = {.at_ns = m->now_ns,
	                          .data = m->config.snap,
	                          .captured = captured,
	                          .bytes = bytes,
	                          .port = port,
	                          .out = out,
	                          .comment = comment};

	m->config.frame(m->config.ctx, &f);
}

static bool shows(const struct monitor *m)
{
	return m->config.frame && m->config.pool && m->config.snap_bytes;
}

/* The device may free what it takes, so the bytes are copied before; its verdict is in the comment.
 */
static void see_one(struct monitor *m, struct rx_frame *f, u64 now_ns)
{
	u32 port = f->port, len = f->len;
	char text[64];
	struct fmt fmt;
	u32 got = buf_chain_copy(m->config.pool, f->buf, 0, m->config.snap,
	                         min_of(len, m->config.snap_bytes));

	m->chain.below.frames->input(m->chain.below.impl, f, 1, now_ns);
	fmt_init(&fmt, text, sizeof(text));
	fmt_str(&fmt, "in ");
	fmt_str(&fmt, verdict_word(f->verdict));
	if (f->verdict != FRAME_CONSUMED) {
		fmt_str(&fmt, " reason=");
		fmt_u64(&fmt, f->reason);
	}
	show(m, false, port, got, len, text);
}

static void see_input(void *impl, struct rx_frame *frames, u32 n, u64 now_ns)
{
	struct monitor *m = impl;

	m->now_ns = now_ns;
	m->count.frames_in += n;
	for (u32 i = 0; i < n; i++)
		m->count.bytes_in += frames[i].len;
	for (u32 i = 0; shows(m) && i < n; i++)
		see_one(m, &frames[i], now_ns);
	if (!shows(m))
		m->chain.below.frames->input(m->chain.below.impl, frames, n, now_ns);
	for (u32 i = 0; i < n; i++)
		m->count.verdicts[min_of(frames[i].verdict, (u8)FRAME_DROPPED)]++;
}

static void see_sent(struct monitor *m, const struct tx_frame *f)
{
	u32 header = min_of((u32)f->header_len, m->config.snap_bytes);
	u32 rest = min_of(f->payload_len, m->config.snap_bytes - header), got = 0;
	char text[64];
	struct fmt fmt;

	memcpy(m->config.snap, f->header + f->header_off, header);
	if (rest)
		got = buf_chain_copy(m->config.pool, f->payload_buf,
		                     f->payload_off - buf_at(m->config.pool, f->payload_buf)->off,
		                     m->config.snap + header, rest);
	fmt_init(&fmt, text, sizeof(text));
	fmt_str(&fmt, "out");
	if (f->conn != NIL) {
		fmt_str(&fmt, " connection=");
		fmt_u64(&fmt, f->conn);
	}
	if (f->gso_bytes) {
		fmt_str(&fmt, " cut=");
		fmt_u64(&fmt, f->gso_bytes);
	}
	show(m, true, f->port, header + got, tx_frame_len(f), text);
}

static bool see_flush(void *impl, struct tx_batch *tx, u64 now_ns)
{
	struct monitor *m = impl;
	u32 first = tx->n;
	bool more = m->chain.below.frames->flush(m->chain.below.impl, tx, now_ns);

	m->now_ns = now_ns;
	for (u32 i = first; i < tx->n; i++) {
		m->count.frames_out++;
		m->count.bytes_out += tx_frame_len(&tx->frames[i]);
		if (shows(m))
			see_sent(m, &tx->frames[i]);
	}
	return more;
}

static void see_set_time(void *impl, u64 now_ns)
{
	((struct monitor *)impl)->now_ns = now_ns;
	frame_pass_ops.set_time(impl, now_ns);
}

static void see_timers(void *impl, u64 now_ns)
{
	((struct monitor *)impl)->now_ns = now_ns;
	frame_pass_ops.timers(impl, now_ns);
}

static u32 see_events(void *impl, u64 now_ns)
{
	((struct monitor *)impl)->now_ns = now_ns;
	return frame_pass_ops.events(impl, now_ns);
}

/* -- the tables -------------------------------------------------------------------------------- */

static const struct data_ops data_ops = {see_send, see_receive, see_disconnect, see_forward};
static const struct host_ops side_ops = {see_complete, see_data_complete, see_indicate};

/* The rest is left to the pass tables (R51). */
static struct host_side attach(void *impl, struct host_side host)
{
	return device_pass_ops.attach(impl, host);
}

static void capabilities(void *impl, struct capabilities *ret)
{
	device_pass_ops.capabilities(impl, ret);
}

static int memory_add(void *impl, void *base, u64 bytes)
{
	return device_pass_ops.memory_add(impl, base, bytes);
}

static int memory_remove(void *impl, void *base)
{
	return device_pass_ops.memory_remove(impl, base);
}

static u64 next_deadline(const void *impl)
{
	return frame_pass_ops.next_deadline(impl);
}

static void link_changed(void *impl, u32 port, bool up)
{
	frame_pass_ops.link_changed(impl, port, up);
}

static const struct device_ops device_ops = {
	.attach = attach,
	.capabilities = capabilities,
	.offload = see_offload,
	.transfer = see_transfer,
	.upload = see_upload,
	.commit = see_commit,
	.memory_add = memory_add,
	.memory_remove = memory_remove,
};
static const struct frame_ops frame_ops = {
	.set_time = see_set_time,
	.input = see_input,
	.timers = see_timers,
	.events = see_events,
	.flush = see_flush,
	.next_deadline = next_deadline,
	.link_changed = link_changed,
};

int monitor_insert(struct monitor *m, const struct monitor_config *config, struct device *hook)
{
	struct device own = {.ops = &device_ops,
	                     .layer = {&neighbor_ops, &path_ops, &tcp_ops},
	                     .data = &data_ops,
	                     .frames = &frame_ops,
	                     .impl = m};

	memset(m, 0, sizeof(*m));
	m->config = *config;
	return device_insert(&m->chain, hook, own, (struct host_side){&side_ops, m});
}

int monitor_remove(struct monitor *m)
{
	return device_remove(&m->chain);
}
