// SPDX-License-Identifier: BSD-2-Clause-Patent
/* R51: the monitor and the fault injector, put in and taken out under live connections. */
#include "target_streams.h"

#include "driver/filter/fault.h"
#include "port/pcapng.h"

enum { CONNS = 24, FILE_BYTES = 1 << 20 };

struct seen {
	struct world *w;
	u64 sent[CONNS], got[CONNS], peer_sent[CONNS], peer_got[CONNS];
	u8 file[FILE_BYTES];
	size_t bytes;
	u32 frames, out;
};

static struct seen *make(void)
{
	struct seen *s = zeroed(64, sizeof(*s));

	s->w = world_with(CONNS, NULL);
	return s;
}

static void end(struct seen *s)
{
	world_upload(s->w, 0, CONNS, true);
	world_is_empty(s->w);
	world_free(s->w);
	zeroed_free(s);
}

static void talk(struct seen *s, u32 bytes)
{
	u8 buf[8192];

	for (u32 i = 0; i < CONNS; i++) {
		s64 n;

		stream_fill(buf, s->sent[i], bytes);
		n = do_send(s->w, i, buf, bytes, SEND_BUFFERED, 0);
		assert_true(n >= 0);
		s->sent[i] += (u64)n;
		stream_fill(buf, s->peer_sent[i], bytes);
		s->peer_sent[i] += (u64)tcp_send(s->w->peer, s->w->peer_conn[i], buf, bytes);
	}
}

static void hear(struct seen *s)
{
	u8 buf[8192];

	for (u32 i = 0; i < CONNS; i++) {
		s64 k;

		s->peer_got[i] = peer_read(s->w, i, s->peer_got[i]);
		while ((k = do_recv(s->w, i, buf, sizeof(buf), RECV_NOW, 0)) > 0) {
			stream_check(buf, s->got[i], (u32)k);
			s->got[i] += (u64)k;
		}
	}
}

static void hear_all(struct seen *s)
{
	for (u32 turn = 0; turn < 20000; turn++) {
		u32 done = 0;

		world_step(s->w, NS_PER_MS);
		hear(s);
		for (u32 i = 0; i < CONNS; i++)
			done += s->got[i] == s->peer_sent[i] && s->peer_got[i] == s->sent[i];
		if (done == CONNS)
			return;
	}
	fail_msg("bytes are missing");
}

/* -- monitor ----------------------------------------------------------------------------------- */

static void keep_frame(void *ctx, const struct monitor_frame *f)
{
	struct seen *s = ctx;
	size_t n = pcapng_packet(s->file + s->bytes, FILE_BYTES - s->bytes, f->port, f->at_ns,
	                         f->data, f->captured, f->bytes, f->comment);

	assert_true(n > 0);
	s->bytes += n;
	s->frames++;
	s->out += f->out;
}

static void monitor_sees_everything(void **state)
{
	static u8 snap[2048];
	struct seen *s = make();
	struct monitor *m = zeroed(64, sizeof(*m));
	struct monitor_config config = {.pool = target_pool(s->w->t),
	                                .frame = keep_frame,
	                                .ctx = s,
	                                .snap_bytes = sizeof(snap),
	                                .snap = snap};
	const struct monitor_call *send = &m->count.call[FILTER_SEND];
	u8 posted[1000];
	u64 latencies = 0;

	assert_int_equal(monitor_insert(m, &config, &s->w->dev), 0);
	talk(s, 500);
	hear_all(s);
	assert_int_equal(send->calls, CONNS);
	assert_true(m->count.frames_in > 0);
	assert_int_equal(m->count.frames_in + m->count.frames_out, s->frames);
	assert_int_equal(m->count.frames_out, s->out);
	assert_int_equal(m->count.verdicts[FRAME_CONSUMED], m->count.frames_in);
	assert_true(m->count.indications[IND_RECEIVE] > 0);
	stream_fill(posted, s->sent[0], sizeof(posted));
	(void)do_send(s->w, 0, posted, sizeof(posted), 0, 77);
	s->sent[0] += sizeof(posted);
	hear_all(s);
	for (u32 i = 0; i < 5; i++)
		world_step(s->w, 100 * NS_PER_MS);
	assert_int_equal(send->completions, 1);
	for (u32 i = 0; i < MONITOR_LATENCIES; i++)
		latencies += send->ns[i];
	assert_int_equal(latencies, 1);
	assert_int_equal(send->ns[0], 0); /* the peer's ACK took time */
	world_upload(s->w, 0, 8, false);
	assert_int_equal(m->count.call[FILTER_UPLOAD].completions, 1);
	assert_int_equal(m->count.call[FILTER_COMMIT].calls, 1);
	assert_int_equal(m->trace[(m->n_traced - 1) % MONITOR_TRACE].kind, FILTER_COMMIT);
	assert_int_equal(monitor_remove(m), 0);
	assert_ptr_equal(s->w->dev.impl, s->w->t);
	world_upload(s->w, 8, CONNS - 8, false);
	world_free(s->w);
	zeroed_free(m);
	zeroed_free(s);
}

/* A call that is on its way when the monitor comes completes through it, and one that is on its way
 * when it goes completes without it (R118). */
static void monitor_in_the_middle(void **state)
{
	struct seen *s = make();
	struct monitor *m = zeroed(64, sizeof(*m));
	struct monitor_config config = {0};
	u8 byte = stream_byte(0);

	(void)do_send(s->w, 0, &byte, 1, 0, 5);
	assert_int_equal(monitor_insert(m, &config, &s->w->dev), 0);
	world_run(s->w, 20);
	world_step(s->w, 100 * NS_PER_MS);
	world_step(s->w, NS_PER_MS);
	assert_int_equal(host_done(s->w, 5)->status, STATUS_OK);
	assert_int_equal(m->count.call[FILTER_SEND].calls, 0);
	assert_int_equal(m->count.call[FILTER_SEND].completions, 1);
	byte = stream_byte(1);
	(void)do_send(s->w, 0, &byte, 1, 0, 6);
	assert_int_equal(monitor_remove(m), 0);
	world_run(s->w, 20);
	world_step(s->w, 100 * NS_PER_MS);
	world_step(s->w, NS_PER_MS);
	assert_int_equal(host_done(s->w, 6)->status, STATUS_OK);
	assert_int_equal(m->count.call[FILTER_SEND].completions, 1);
	end(s);
	zeroed_free(m);
}

/* Byte for byte what the format says, and nothing where it does not fit. */
static void pcapng_blocks(void **state)
{
	static const u8 section[] = {0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0,   0x4d,
	                             0x3c, 0x2b, 0x1a, 1,    0,  0, 0, 0xff};
	static const u8 data[5] = {1, 2, 3, 4, 5};
	u8 out[256];
	size_t n;

	assert_int_equal(pcapng_section(out, sizeof(out)), 28);
	assert_memory_equal(out, section, sizeof(section));
	assert_int_equal(out[24], 28);
	n = pcapng_interface(out, sizeof(out), "port0", 2048);
	assert_int_equal(n, 16 + 4 + 8 + 4 + 4 + 4 + 4);
	assert_int_equal(out[8], 1);
	n = pcapng_packet(out, sizeof(out), 1, 0x100000002ull, data, 5, 900, "hi");
	assert_int_equal(n, 28 + 8 + 4 + 4 + 4 + 4);
	assert_int_equal(out[12], 1); /* the upper half of the time first */
	assert_int_equal(out[16], 2);
	assert_int_equal(out[20], 5);
	assert_memory_equal(out + 28, data, 5);
	assert_int_equal(pcapng_packet(out, n, 1, 0, data, 5, 900, "hi"), n);
	for (size_t size = 0; size < n; size++)
		assert_int_equal(pcapng_packet(out, size, 1, 0, data, 5, 900, "hi"), 0);
}

/* -- fault injector ---------------------------------------------------------------------------- */

static void nth_call_fails(void **state)
{
	struct seen *s = make();
	struct fault *f = zeroed(64, sizeof(*f));
	struct fault_config config = {.pool = target_pool(s->w->t)};
	struct test_list l = {0};
	u8 byte = 0;

	assert_int_equal(fault_insert(f, &config, &s->w->dev), 0);
	assert_int_equal(fault_fail(f, FILTER_QUERY, 2, STATUS_DEVICE_FAILED), 0);
	assert_int_equal(fault_fail(f, FILTER_COMMIT, 1, STATUS_FAILED), -EINVAL);
	assert_int_equal(fault_fail(f, FILTER_SEND, 0, STATUS_FAILED), -EINVAL);
	list_make(&l, 4);
	(void)list_named(&l, NIL, LAYER_NEIGHBOR, s->w->neighbors[0], true);
	for (u32 i = 1; i <= 3; i++) {
		assert_int_equal(call_layer(s->w, &l, BLOCK_CALL_QUERY, LAYER_NEIGHBOR), 0);
		assert_int_equal(block_at(&l.list, 0)->status,
		                 i == 2 ? STATUS_DEVICE_FAILED : STATUS_OK);
	}
	assert_int_equal(fault_fail(f, FILTER_SEND, 1, STATUS_ABORTED), 0);
	(void)do_send(s->w, 0, &byte, 1, 0, 9);
	assert_int_equal(host_done(s->w, 9)->status, STATUS_ABORTED);
	assert_int_equal(fault_fail(f, FILTER_RECEIVE, 1, STATUS_BUSY), 0);
	(void)do_recv(s->w, 0, &byte, 1, 0, 10);
	assert_int_equal(host_done(s->w, 10)->status, STATUS_BUSY);
	assert_int_equal(f->count.failed_calls, 3);
	talk(s, 100);
	hear_all(s);
	assert_int_equal(fault_remove(f), 0);
	list_free(&l);
	end(s);
	zeroed_free(f);
}

static void limit_is_used_up(void **state)
{
	struct world *w = world_make(NULL, false);
	struct fault *f = zeroed(64, sizeof(*f));
	struct fault_config config = {.pool = target_pool(w->t)};
	struct capabilities caps;
	struct test_list l = {0};

	assert_int_equal(fault_insert(f, &config, &w->dev), 0);
	fault_exhaust(f, LAYER_TCP, true);
	assert_int_equal(host_count(w, IND_RESUME), 1);
	w->dev.ops->capabilities(w->dev.impl, &caps);
	assert_int_equal(caps.free_connections, 0);
	assert_true(caps.free_paths > 0);
	list_make(&l, 12);
	list_tree(w, &l, 0, 4);
	assert_int_equal(call_offload(w, &l), 0);
	assert_int_equal(block_at(&l.list, l.list.n_blocks - 1)->status, STATUS_NO_CONNECTIONS);
	list_free(&l);
	world_is_empty(w);
	fault_exhaust(f, LAYER_TCP, false);
	world_offload(w, 0, 4);
	assert_int_equal(fault_remove(f), 0);
	world_upload(w, 0, 4, true);
	world_is_empty(w);
	world_free(w);
	zeroed_free(f);
}

/* Every byte arrives through all faults of a wire, once and in order. */
static void bad_wire(void **state)
{
	for (u64 seed = 1; seed <= 4; seed++) {
		struct seen *s = make();
		struct fault *f = zeroed(64, sizeof(*f));
		struct fault_config config = {
			.pool = target_pool(s->w->t),
			.seed = seed,
			.in = {.drop_ppm = 20000,
		               .duplicate_ppm = 30000,
		               .reorder_ppm = 30000,
		               .corrupt_ppm = 20000,
		               .delay_ppm = 50000,
		               .delay_ns = 3 * NS_PER_MS},
			.out = {.drop_ppm = 20000, .duplicate_ppm = 30000, .reorder_ppm = 30000},
		};

		assert_int_equal(fault_insert(f, &config, &s->w->dev), 0);
		for (u32 round = 0; round < 40; round++) {
			talk(s, 1 + round * 37);
			world_step(s->w, NS_PER_MS);
			hear(s);
		}
		hear_all(s);
		assert_true(f->count.dropped && f->count.duplicated && f->count.reordered);
		assert_true(f->count.corrupted && f->count.delayed);
		assert_int_equal(fault_remove(f), 0);
		end(s);
		zeroed_free(f);
	}
}

static void stall_and_death(void **state)
{
	struct seen *s = make();
	struct fault *f = zeroed(64, sizeof(*f));
	struct fault_config config = {.pool = target_pool(s->w->t)};
	struct test_list l = {0};
	u32 before;

	list_make(&l, 4);
	(void)list_named(&l, NIL, LAYER_NEIGHBOR, s->w->neighbors[0], true);
	assert_int_equal(fault_insert(f, &config, &s->w->dev), 0);
	talk(s, 300);
	assert_int_equal(fault_set_life(f, FAULT_STALLED), 0);
	assert_int_equal(host_count(s->w, IND_HEARTBEAT_LOST), 1);
	before = s->w->host.completed;
	assert_int_equal(call_layer(s->w, &l, BLOCK_CALL_QUERY, LAYER_NEIGHBOR), 0);
	world_run(s->w, 20);
	assert_int_equal(s->w->host.completed, before); /* no answer */
	assert_int_equal(fault_set_life(f, FAULT_ALIVE), 0);
	assert_int_equal(s->w->host.completed, before + 1);
	assert_int_equal(block_at(&l.list, 0)->status, STATUS_OK);
	hear_all(s);
	assert_int_equal(fault_set_life(f, FAULT_DEAD), 0);
	assert_int_equal(host_count(s->w, IND_HEARTBEAT_LOST), 2);
	assert_int_equal(call_layer(s->w, &l, BLOCK_CALL_QUERY, LAYER_NEIGHBOR), 0);
	assert_int_equal(fault_set_life(f, FAULT_ALIVE), -EINVAL);
	assert_int_equal(s->w->host.completed, before + 1);
	assert_int_equal(fault_remove(f), 0);
	assert_int_equal(s->w->host.completed, before + 2);
	assert_int_equal(block_at(&l.list, 0)->status, STATUS_DEVICE_FAILED);
	talk(s, 300);
	hear_all(s); /* the device itself was well all the time */
	list_free(&l);
	end(s);
	zeroed_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monitor_sees_everything), cmocka_unit_test(monitor_in_the_middle),
		cmocka_unit_test(pcapng_blocks),           cmocka_unit_test(nth_call_fails),
		cmocka_unit_test(limit_is_used_up),        cmocka_unit_test(bad_wire),
		cmocka_unit_test(stall_and_death),
	};

	return RUN_TESTS(tests);
}
