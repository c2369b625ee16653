/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The journal alone: many pages in a step, journals that lie, stores outside of a step. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/journal.h"

enum { PAGE = 4096 };

static void *shared_pages(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

enum { MANY = 12000 }; /* pages: every second one is written into, more than 4096 */

/* A child writes into every second page and dies in the middle of its second step. */
static void write_many(u8 *arena, void *journal)
{
	if (journal_open(journal, arena, (size_t)MANY * PAGE))
		_exit(1);
	for (u8 step = 1; step < 3; step++) {
		journal_begin();
		for (u32 i = 0; i < MANY; i += i < 10000 ? 2 : 32)
			arena[(size_t)i * PAGE + i % PAGE] = step;
		if (step == 1)
			journal_mark();
	}
	raise(SIGKILL);
}

/* A step may write into more pages than there may be mappings; what it wrote is undone */
static void many_pages(void **state)
{
	u8 *arena = shared_pages((size_t)MANY * PAGE);
	void *journal = shared_pages(journal_bytes((size_t)MANY * PAGE));
	pid_t child;
	u32 pages;
	int status;

	child = fork();
	if (child == 0)
		write_many(arena, journal);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(arena[0], 2);
	assert_int_equal(journal_open(journal, arena, (size_t)MANY * PAGE), -EBUSY);
	assert_int_equal(journal_undo(journal, arena, (size_t)MANY * PAGE, &pages), 0);
	assert_true(pages >= 5000 && pages <= MANY);
	for (u32 i = 0; i < MANY; i++) {
		bool written = i < 10000 ? i % 2 == 0 : (i - 10000) % 32 == 0;

		assert_int_equal(arena[(size_t)i * PAGE + i % PAGE], written);
	}
	assert_int_equal(journal_undo(journal, arena, (size_t)MANY * PAGE, &pages), 0);
	assert_int_equal(pages, 0);
	munmap(arena, (size_t)MANY * PAGE);
	munmap(journal, journal_bytes((size_t)MANY * PAGE));
}

/* What the dead process wrote is not trusted: a journal that lies changes nothing */
static void journals_that_lie(void **state)
{
	static const struct {
		u32 saved, pages, index;
	} lies[] = {{5, 4, 0}, {UINT32_MAX, 4, 0}, {1, 3, 0}, {1, 4, 4}, {1, 4, UINT32_MAX}};
	u8 *arena = shared_pages(4 * PAGE);
	u32 *journal = shared_pages(journal_bytes(4 * PAGE));

	for (u32 i = 0; i < ARRAY_SIZE(lies); i++) {
		memset(arena, 7, 4 * PAGE);
		journal[0] = lies[i].saved;
		journal[1] = lies[i].pages;
		journal[2] = lies[i].index;
		assert_int_equal(journal_undo(journal, arena, 4 * PAGE, NULL), -EPROTO);
		for (u32 k = 0; k < 4 * PAGE; k++)
			assert_int_equal(arena[k], 7);
	}
	assert_int_equal(journal_undo(journal, arena, 100, NULL), -EINVAL);
	assert_int_equal(journal_open(journal, arena, 100), -EINVAL);
	munmap(arena, 4 * PAGE);
	munmap(journal, journal_bytes(4 * PAGE));
}

/* A store outside of a step, as any other bad one, ends the process: the state stays whole. So it
 * is for a page that was in use once and has been quiet since. */
static void a_store_outside_of_a_step(void **state)
{
	u8 *arena = shared_pages(PAGE);
	void *journal = shared_pages(journal_bytes(PAGE));
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		if (journal_open(journal, arena, PAGE))
			_exit(0);
		for (u32 step = 0; step < 20; step++) {
			journal_begin();
			if (step < 5)
				*(volatile u8 *)arena = 7;
			journal_mark();
		}
		*(volatile u8 *)arena = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_int_equal(arena[0], 7);
	munmap(arena, PAGE);
	munmap(journal, journal_bytes(PAGE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_pages),
		cmocka_unit_test(journals_that_lie),
		cmocka_unit_test(a_store_outside_of_a_step),
	};

	return RUN_TESTS(tests);
}
