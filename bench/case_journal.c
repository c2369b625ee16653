/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the journal of a shared arena costs: a step that writes into so many pages of it, against
 * the same step without a journal.
 */
#include "cases.h"
#include "ipc/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	ARENA_PAGES = 4096,
	STEPS = 2000,
	LINES = 8, /* cache lines written in each page */
};

struct journal_case {
	u8 *arena;
	void *journal;
};

static const size_t arena_bytes = (size_t)ARENA_PAGES * PAGE;

static void *shared(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static int setup(struct bench_run *run)
{
	struct journal_case *c = calloc(1, sizeof(*c));

	run->state = c;
	if (!c)
		return bench_fail(run, -ENOMEM, "no memory");
	c->arena = shared(arena_bytes);
	c->journal = shared(journal_bytes(arena_bytes));
	if (!c->arena || !c->journal)
		return bench_fail(run, -ENOMEM, "no memory for an arena and its journal");
	memset(c->arena, 1, arena_bytes);
	return 0;
}

static void teardown(struct bench_run *run)
{
	struct journal_case *c = run->state;

	if (c && c->arena)
		munmap(c->arena, arena_bytes);
	if (c && c->journal)
		munmap(c->journal, journal_bytes(arena_bytes));
	free(c);
}

/* Pages that are not neighbors, as connections are: the same in each step, or others. */
static void write_pages(u8 *arena, u32 n, bool others, u32 step)
{
	for (u32 i = 0; i < n; i++) {
		u8 *page =
			arena + (size_t)(((others ? step * 7 : 0) + i * 61) % ARENA_PAGES) * PAGE;

		for (u32 line = 0; line < LINES; line++)
			*(volatile u64 *)(page + (size_t)line * 64) += step;
	}
}

static int without(struct bench_run *run, double *ret_value)
{
	struct journal_case *c = run->state;
	u64 start = bench_now_ns();

	for (u32 step = 0; step < STEPS; step++)
		write_pages(c->arena, run->bcase->n, run->bcase->variant, step);
	*ret_value = (double)(bench_now_ns() - start) / 1e3 / STEPS;
	return 0;
}

static int with(struct bench_run *run, double *ret_value)
{
	struct journal_case *c = run->state;
	int err = journal_open(c->journal, c->arena, arena_bytes);
	u32 pages = 0;
	u64 start;

	if (err)
		return bench_fail(run, err, "the journal does not open");
	start = bench_now_ns();
	for (u32 step = 0; step < STEPS; step++) {
		journal_begin();
		write_pages(c->arena, run->bcase->n, run->bcase->variant, step);
		pages += journal_mark();
	}
	*ret_value = (double)(bench_now_ns() - start) / 1e3 / STEPS;
	journal_close();
	if (pages != STEPS * run->bcase->n)
		return bench_fail(run, -EPROTO, "the journal has missed a page");
	return 0;
}

#define STEP_CASE(pages, word, others)                                                    \
	{                                                                                 \
		.name = "target/step/" word "/" #pages, .unit = "us/step",                \
		.peer_name = "no journal", .setup = setup, .ours = with, .peer = without, \
		.teardown = teardown, .n = pages, .variant = others,                      \
	}

static const struct bench_case cases[] = {
	STEP_CASE(1, "same", false), STEP_CASE(16, "same", false), STEP_CASE(256, "same", false),
	STEP_CASE(1, "other", true), STEP_CASE(16, "other", true), STEP_CASE(256, "other", true),
};

const struct bench_table bench_journal_cases = {cases, ARRAY_SIZE(cases)};
