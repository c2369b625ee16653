/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A target in a process that dies: at any instruction of a step, and by SIGKILL at random moments
 * under traffic. Arena and journal are shared; target and application run in a child, the peer in
 * the parent. Frames go through shared memory, those of the child's step lie in the journaled
 * memory, as a ring of completions would: they are there if the step is.
 */
#include "target_streams.h"
#include "tcp_invariants.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "ipc/journal.h"
#include "ipc/process.h"

enum {
	CONNS = 4,
	FRAMES = 24,
	FLAT_BYTES = 1536,
	PAGE = 4096,
	STREAM_BYTES = 60000,
};

struct flat {
	u32 len;
	u8 bytes[FLAT_BYTES];
};

/* Journaled with the arena. */
struct app {
	u32 turn; /* of the last step that happened */
	u64 sent[CONNS], back[CONNS];
	u32 n_out;
	struct flat out[FRAMES];
};

/* Written by the parent before a step. */
struct inbox {
	struct ipc_heart heart; /* the child's */
	u32 turn;
	u64 now;
	u32 n;
	struct flat in[FRAMES];
};

struct crash {
	struct world *w;
	u8 *region; /* arena, then struct app */
	size_t arena_bytes, region_bytes;
	void *journal;
	struct app *app;
	struct inbox *inbox;
	pid_t child;
	int go[2], done[2];
	u64 got[CONNS], peer_sent[CONNS];
	u32 most;             /* bytes written at a time, up to 3000 */
	u32 undone, happened; /* killed steps that were undone, and that were already marked */
};

static void *shared_pages(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

static struct crash *crash_make(void)
{
	struct target_config config = {.connections = CONNS,
	                               .neighbors = 4,
	                               .addresses = 4,
	                               .macs = 4,
	                               .vlans = 4,
	                               .bufs = {.small = 64, .large = 1},
	                               .oversubscription_percent = UINT32_MAX};
	struct crash *x = zeroed(64, sizeof(*x));
	struct world *w = world_make(&config, true);

	x->w = w;
	x->arena_bytes = target_arena_bytes(&w->config);
	x->region_bytes = x->arena_bytes + (sizeof(struct app) + PAGE - 1) / PAGE * PAGE;
	x->region = shared_pages(x->region_bytes);
	x->app = (struct app *)(x->region + x->arena_bytes);
	x->journal = shared_pages(journal_bytes(x->region_bytes));
	x->inbox = shared_pages(sizeof(*x->inbox));
	zeroed_free(w->arena);
	w->arena = NULL;
	x->most = 3000;
	assert_int_equal(target_init(w->t, x->region, &w->config), 0);
	target_attach_host(w->t, (struct host_side){&fake_host_ops, &w->host});
	target_set_time(w->t, w->now);
	world_offload(w, 0, CONNS);
	assert_int_equal(pipe(x->go), 0);
	assert_int_equal(pipe(x->done), 0);
	return x;
}

static void crash_free(struct crash *x)
{
	for (u32 i = 0; i < 2; i++) {
		close(x->go[i]);
		close(x->done[i]);
	}
	munmap(x->region, x->region_bytes);
	munmap(x->journal, journal_bytes(x->region_bytes));
	munmap(x->inbox, sizeof(*x->inbox));
	world_free(x->w);
	zeroed_free(x);
}

/* -- the child: target and application ----------------------------------------------------------
 */

static void child_input(struct crash *x)
{
	struct buf_pool *pool = target_pool(x->w->t);

	for (u32 i = 0; i < x->inbox->n; i++) {
		const struct flat *f = &x->inbox->in[i];
		u32 buf = buf_alloc(pool, BUF_SMALL);
		struct rx_frame rx = {.buf = buf, .len = f->len, .csum = FRAME_CSUM_VALID};

		if (buf == NIL)
			continue;
		memcpy(buf_bytes(pool, buf), f->bytes, f->len);
		buf_at(pool, buf)->len = f->len;
		target_input(x->w->t, &rx, 1, x->w->now);
		if (rx.verdict != FRAME_CONSUMED)
			buf_put_chain(pool, rx.buf);
	}
}

static void child_application(struct crash *x, u32 i)
{
	struct app *a = x->app;
	u8 buf[3000];
	u32 some = 1 + (x->inbox->turn * 977 + i * 131) % x->most;
	s64 n;

	while ((n = do_recv(x->w, i, buf, sizeof(buf), RECV_NOW, 0)) > 0) {
		stream_check(buf, a->back[i], (u32)n);
		a->back[i] += (u64)n;
	}
	if (a->sent[i] >= STREAM_BYTES)
		return;
	stream_fill(buf, a->sent[i], some);
	n = do_send(x->w, i, buf, some, SEND_BUFFERED, 0);
	a->sent[i] += n > 0 ? (u64)n : 0;
}

static void child_step(struct crash *x)
{
	struct world *w = x->w;
	struct tx_batch tx = {.frames = w->tx, .cap = FRAMES};

	w->now = x->inbox->now;
	target_set_time(w->t, w->now);
	child_input(x);
	for (u32 i = 0; i < CONNS; i++)
		child_application(x, i);
	target_timers(w->t, w->now);
	target_poll_events(w->t, w->now);
	(void)target_flush(w->t, &tx, w->now);
	for (u32 i = 0; i < tx.n; i++) {
		assert_true(tx_frame_len(&tx.frames[i]) <= FLAT_BYTES);
		x->app->out[i].len =
			frame_gather(target_pool(w->t), &tx.frames[i], x->app->out[i].bytes);
	}
	x->app->n_out = tx.n;
	x->app->turn = x->inbox->turn;
	host_forget(w);
}

static void child_attach(struct crash *x)
{
	struct world *w = x->w;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	w->now = x->inbox->now;
	assert_int_equal(journal_open(x->journal, x->region, x->region_bytes), 0);
	journal_begin();
	memset(w->t, 0xee, target_bytes(&w->config));
	assert_int_equal(target_attach(w->t, x->region, &w->config, w->now), 0);
	target_attach_host(w->t, (struct host_side){&fake_host_ops, &w->host});
	assert_null(target_check(w->t));
	for (u32 i = 0; i < CONNS; i++) {
		struct tcp_engine *e = target_engine(w->t);
		u32 conn = target_connection(w->t, w->conns[i]);

		assert_int_not_equal(conn, NIL);
		tcp_invariants(e, target_pool(w->t), &e->conns[conn]);
	}
	journal_mark();
}

/* Without privileges; 3 and 4 are its ends of the pipes. */
static int child_main(void *ctx)
{
	struct crash *x = ctx;
	char c;

	child_attach(x);
	while (read(3, &c, 1) == 1) {
		journal_begin();
		child_step(x);
		journal_mark();
		ipc_beat(&x->inbox->heart);
		if (write(4, &c, 1) != 1)
			break;
	}
	return 3;
}

/* -- the parent: the peer -----------------------------------------------------------------------
 */

static void parent_fork(struct crash *x)
{
	struct ipc_start start = {.run = child_main,
	                          .ctx = x,
	                          .fds = (int[]){x->go[0], x->done[1]},
	                          .n_fds = 2,
	                          .heart = &x->inbox->heart};
	struct ipc_process p;

	fflush(NULL);
	assert_int_equal(ipc_start(&p, &start, x->w->now), 0);
	x->child = p.pid;
	close(p.pidfd); /* waitpid() tells as much here */
}

/* What the peer sends now becomes the inbox of the next step. */
static void parent_prepare(struct crash *x, u64 ns)
{
	struct world *w = x->w;
	struct tx_batch tx = {.frames = w->tx, .cap = FRAMES};
	struct tcp_event ev[64];
	u8 buf[3000];

	w->now += ns;
	for (u32 i = 0; i < CONNS; i++) {
		s64 n = STREAM_BYTES - (s64)x->peer_sent[i];

		stream_fill(buf, x->peer_sent[i], sizeof(buf));
		n = n > 0 ? tcp_send(w->peer, w->peer_conn[i], buf, (u32)min_of(n, x->most)) : 0;
		x->peer_sent[i] += n > 0 ? (u64)n : 0;
	}
	tcp_timers(w->peer, w->now);
	(void)tcp_flush(w->peer, w->now, &tx);
	while (tcp_events(w->peer, ev, 64))
		;
	for (u32 i = 0; i < tx.n; i++) {
		assert_true(tx_frame_len(&tx.frames[i]) <= FLAT_BYTES);
		x->inbox->in[i].len =
			frame_gather(w->peer_pool, &tx.frames[i], x->inbox->in[i].bytes);
	}
	x->inbox->n = tx.n;
	x->inbox->now = w->now;
	x->inbox->turn++;
}

/* Each byte on the wire is that of its place in the stream, however often it is sent. */
static void parent_look(const struct flat *f)
{
	const u8 *tcp = f->bytes + 14 + 20;
	u32 conn = (u32)(tcp[0] << 8 | tcp[1]) - 1024;
	u32 seq = (u32)tcp[4] << 24 | (u32)tcp[5] << 16 | (u32)tcp[6] << 8 | tcp[7];
	u32 head = 14 + 20 + (tcp[12] >> 4) * 4u;

	assert_true(conn < CONNS && head <= f->len);
	if (f->len > head)
		stream_check(f->bytes + head, seq - (1001 + conn), f->len - head);
}

/* The step happened: what it sent goes to the peer. */
static void parent_take(struct crash *x)
{
	struct world *w = x->w;

	assert_int_equal(x->app->turn, x->inbox->turn);
	for (u32 i = 0; i < x->app->n_out; i++) {
		const struct flat *f = &x->app->out[i];
		u32 buf = buf_alloc(w->peer_pool, BUF_SMALL);
		struct rx_frame rx = {.buf = buf, .len = f->len, .csum = FRAME_CSUM_VALID};

		parent_look(f);
		assert_int_not_equal(buf, NIL);
		memcpy(buf_bytes(w->peer_pool, buf), f->bytes, f->len);
		buf_at(w->peer_pool, buf)->len = f->len;
		tcp_input(w->peer, &rx, 1, w->now);
		if (rx.verdict != FRAME_CONSUMED)
			buf_put_chain(w->peer_pool, rx.buf);
	}
	for (u32 i = 0; i < CONNS; i++)
		x->got[i] = peer_read(w, i, x->got[i]);
}

/* The child is dead: the arena is at the last mark again. */
static void parent_undo(struct crash *x)
{
	int status;
	u32 pages;

	assert_int_equal(waitpid(x->child, &status, 0), x->child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(journal_undo(x->journal, x->region, x->region_bytes, &pages), 0);
	if (x->app->turn == x->inbox->turn) {
		x->happened++;
		parent_take(x);
	} else {
		x->undone++;
	}
}

static void parent_step(struct crash *x, u64 ns)
{
	char c = 0;

	parent_prepare(x, ns);
	assert_int_equal(write(x->go[1], &c, 1), 1);
	assert_int_equal(read(x->done[0], &c, 1), 1);
	parent_take(x);
}

static bool all_there(const struct crash *x)
{
	for (u32 i = 0; i < CONNS; i++) {
		if (x->app->sent[i] < STREAM_BYTES || x->got[i] != x->app->sent[i] ||
		    x->peer_sent[i] < STREAM_BYTES || x->app->back[i] != x->peer_sent[i])
			return false;
	}
	return true;
}

static void finish(struct crash *x)
{
	for (u32 turn = 0; turn < 3000 && !all_there(x); turn++)
		parent_step(x, 20 * NS_PER_MS);
	assert_true(all_there(x));
	assert_int_equal(kill(x->child, SIGKILL), 0);
	parent_undo(x);
}

static u32 kills = 100; /* or the first argument */

/* R100: killed at random moments under traffic: a new process goes on each time. Nothing that was
 * acknowledged is missing, no byte is sent twice as another one. */
static void killed_under_traffic(void **state)
{
	struct crash *x = crash_make();
	struct prng rng;
	char c = 0;

	prng_seed(&rng, 5);
	parent_fork(x);
	for (u32 k = 0; k < kills; k++) {
		for (u32 i = prng_below(&rng, 4); i > 0; i--)
			parent_step(x, 300 * NS_PER_US);
		parent_prepare(x, 300 * NS_PER_US);
		assert_int_equal(write(x->go[1], &c, 1), 1);
		for (volatile u32 spin = prng_below(&rng, 60000); spin > 0; spin--)
			;
		assert_int_equal(kill(x->child, SIGKILL), 0);
		parent_undo(x);
		/* What the dead one did not read, or said. */
		close(x->go[0]), close(x->go[1]), close(x->done[0]), close(x->done[1]);
		assert_int_equal(pipe(x->go), 0);
		assert_int_equal(pipe(x->done), 0);
		parent_fork(x);
	}
	assert_int_equal(x->undone + x->happened, kills);
	finish(x);
	crash_free(x);
}

/* -- each instruction ---------------------------------------------------------------------------
 */

struct journal_view {
	u32 saved, pages;
	u32 index[];
};

/* What journal_undo() would make of the shared memory at this moment is `want`. */
static bool undone_equals(const struct crash *x, const u8 *want)
{
	const struct journal_view *v = x->journal;
	const u8 *old = (const u8 *)x->journal + journal_bytes(x->region_bytes) - x->region_bytes;
	u32 pages = (u32)(x->region_bytes / PAGE);
	u8 in_journal[4096] = {0};

	assert_true(pages <= sizeof(in_journal));
	for (u32 i = 0; i < v->saved; i++) {
		in_journal[v->index[i]] = 1;
		if (memcmp(old + (size_t)v->index[i] * PAGE, want + (size_t)v->index[i] * PAGE,
		           PAGE))
			return false;
	}
	for (u32 i = 0; i < pages; i++) {
		if (!in_journal[i] &&
		    memcmp(x->region + (size_t)i * PAGE, want + (size_t)i * PAGE, PAGE))
			return false;
	}
	return true;
}

static void traced_child(struct crash *x)
{
	child_attach(x);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(77);
	raise(SIGSTOP);
	journal_begin();
	child_step(x);
	journal_mark();
	raise(SIGSTOP);
	_exit(3);
}

/* Steps the child by one instruction; false: it stopped itself, the step is over. */
static bool one_instruction(struct crash *x, int *signal)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, x->child, NULL, (void *)(intptr_t)*signal), 0);
	assert_int_equal(waitpid(x->child, &status, 0), x->child);
	assert_true(WIFSTOPPED(status));
	*signal = WSTOPSIG(status) == SIGSEGV ? SIGSEGV : 0;
	return WSTOPSIG(status) != SIGSTOP;
}

/* One step, killed after `limit` instructions at the latest. Returns how many it made. What a death
 * at any of them would leave is the memory before the step, or that after it. It is compared
 * whenever the journal has changed: a store that passed it by would still be there then, either in
 * the arena or in the copy. */
static u32 traced_step(struct crash *x, u32 limit)
{
	u8 *before = malloc(x->region_bytes);
	const volatile struct journal_view *v = x->journal;
	int status, signal = 0;
	u32 n = 0, saved = 0;
	bool same = true;

	fflush(NULL);
	x->child = fork();
	if (x->child == 0)
		traced_child(x);
	assert_int_equal(waitpid(x->child, &status, 0), x->child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no ptrace here */
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	memcpy(before, x->region, x->region_bytes);
	while (n < limit && same && one_instruction(x, &signal)) {
		n++;
		if (v->saved == saved && n % 256)
			continue;
		saved = v->saved;
		same = undone_equals(x, before);
	}
	same = same && undone_equals(x, before);
	/* The one store that is the mark: nothing to undo, and the step is there. */
	if (!same) {
		assert_int_equal(v->saved, 0);
		assert_int_equal(x->app->turn, x->inbox->turn);
	}
	free(before);
	assert_int_equal(kill(x->child, SIGKILL), 0);
	parent_undo(x);
	return n;
}

/* R100: whichever instruction of a step is the last, the step happened or it did not */
static void any_instruction_may_be_the_last(void **state)
{
	struct crash *x = crash_make();
	u32 all;

	x->most = 100;
	parent_prepare(x, NS_PER_MS);
	all = traced_step(x, UINT32_MAX);
	assert_true(all > 1000);
	assert_int_equal(x->happened, 1);
	/* Really killed, here and there: those who come after go on. */
	for (u32 k = 1; k < 4; k++) {
		parent_prepare(x, NS_PER_MS);
		(void)traced_step(x, all / 4 * k);
	}
	assert_true(x->undone > 0);
	x->most = 3000;
	parent_fork(x);
	finish(x);
	crash_free(x);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_instruction_may_be_the_last),
		cmocka_unit_test(killed_under_traffic),
	};

	if (argc > 1)
		kills = (u32)strtoul(argv[1], NULL, 10);
	return RUN_TESTS(tests);
}
