/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "ipc/journal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	/* A page of its own rights may be a mapping of its own, of which a process has 65,530: a
	 * step that writes into many pages goes on in larger pieces. */
	FINE_PAGES = 4096,
	COARSE_PAGES = 64,
	/* Pages that stay writable between steps, and for how many steps without a change. */
	HOT_PAGES = 256,
	HOT_STEPS = 8,
};

struct journal_head {
	u32 saved;
	u32 pages;
	u32 index[];
};

static struct {
	struct journal_head *head;
	u8 *old; /* by page */
	u8 *arena;
	u32 pages;
	bool in_step;
	u32 saved; /* what the head says; the head itself is not read again */
	u32 step;
	u32 *saved_in;          /* by page: the step that it was last saved in */
	u32 trapped[HOT_PAGES]; /* the first pages of this step that were not hot */
	u32 n_hot;
	struct {
		u32 page;
		u32 quiet; /* steps in a row that did not change it */
	} hot[HOT_PAGES];
	struct sigaction before;
} own;

static size_t head_bytes(u32 pages)
{
	return (sizeof(struct journal_head) + (size_t)pages * sizeof(u32) + PAGE - 1) / PAGE * PAGE;
}

static bool size_ok(size_t arena_bytes)
{
	return arena_bytes && arena_bytes % PAGE == 0 && arena_bytes / PAGE <= UINT32_MAX / 2;
}

size_t journal_bytes(size_t arena_bytes)
{
	return head_bytes((u32)(arena_bytes / PAGE)) + arena_bytes;
}

/* -- after a death ------------------------------------------------------------------------------
 */

int journal_undo(void *journal, void *arena, size_t arena_bytes, u32 *ret_pages)
{
	struct journal_head *head = journal;
	u32 pages = (u32)(arena_bytes / PAGE);
	const u8 *old = (const u8 *)journal + head_bytes(pages);
	u32 saved = __atomic_load_n(&head->saved, __ATOMIC_ACQUIRE);

	if (ret_pages)
		*ret_pages = 0;
	if (!size_ok(arena_bytes))
		return -EINVAL;
	if (saved == 0)
		return 0;
	if (head->pages != pages || saved > pages)
		return -EPROTO;
	for (u32 i = 0; i < saved; i++) {
		if (head->index[i] >= pages)
			return -EPROTO;
	}
	for (u32 i = 0; i < saved; i++) {
		size_t at = (size_t)head->index[i] * PAGE;

		memcpy((u8 *)arena + at, old + at, PAGE);
	}
	__atomic_store_n(&head->saved, 0, __ATOMIC_RELEASE);
	if (ret_pages)
		*ret_pages = saved;
	return 0;
}

/* -- the trap -----------------------------------------------------------------------------------
 */

/* The copy and its index are whole before the count names them, the count before any store. */
static void save_page(u32 page)
{
	if (own.saved_in[page] == own.step)
		return;
	own.saved_in[page] = own.step;
	if (own.saved >= own.n_hot && own.saved - own.n_hot < HOT_PAGES)
		own.trapped[own.saved - own.n_hot] = page;
	memcpy(own.old + (size_t)page * PAGE, own.arena + (size_t)page * PAGE, PAGE);
	own.head->index[own.saved++] = page;
	__atomic_store_n(&own.head->saved, own.saved, __ATOMIC_SEQ_CST);
}

static bool save_around(u32 page)
{
	u32 span = own.saved < FINE_PAGES ? 1 : COARSE_PAGES;
	u32 first = page / span * span;
	u32 n = min_of(span, own.pages - first);

	for (u32 i = 0; i < n; i++)
		save_page(first + i);
	return mprotect(own.arena + (size_t)first * PAGE, (size_t)n * PAGE,
	                PROT_READ | PROT_WRITE) == 0;
}

/* Async-signal-safe: copies, and one system call. A fault that is none of ours meets the handler
 * that was there before when the instruction is tried again. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	u8 *at = info->si_addr;
	int keep = errno;
	bool ours = own.in_step && at >= own.arena && (size_t)(at - own.arena) / PAGE < own.pages;

	if (!ours || !save_around((u32)((size_t)(at - own.arena) / PAGE)))
		(void)sigaction(SIGSEGV, &own.before, NULL);
	errno = keep;
}

static int protect_all(int rights)
{
	return mprotect(own.arena, (size_t)own.pages * PAGE, rights) ? -errno : 0;
}

/* -- steps --------------------------------------------------------------------------------------
 */

int journal_open(void *journal, void *arena, size_t arena_bytes)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct journal_head *head = journal;
	int err;

	if (!size_ok(arena_bytes) || (uintptr_t)arena % PAGE || (uintptr_t)journal % PAGE)
		return -EINVAL;
	if (own.head || head->saved)
		return -EBUSY;
	own.pages = (u32)(arena_bytes / PAGE);
	own.saved_in = calloc(own.pages, sizeof(u32));
	if (!own.saved_in)
		return -ENOMEM;
	own.arena = arena;
	own.old = (u8 *)journal + head_bytes(own.pages);
	own.in_step = false;
	own.saved = own.step = own.n_hot = 0;
	head->pages = own.pages;
	sigemptyset(&action.sa_mask);
	err = sigaction(SIGSEGV, &action, &own.before) ? -errno : protect_all(PROT_READ);
	if (err) {
		free(own.saved_in);
		return err;
	}
	own.head = head;
	return 0;
}

void journal_begin(void)
{
	own.in_step = true;
	if (++own.step == 0) { /* the numbers start again */
		memset(own.saved_in, 0, (size_t)own.pages * sizeof(u32));
		own.step = 1;
	}
	for (u32 i = 0; i < own.n_hot; i++)
		save_page(own.hot[i].page);
}

static bool page_protect(u32 page)
{
	return mprotect(own.arena + (size_t)page * PAGE, PAGE, PROT_READ) == 0;
}

/* Of the pages that were hot when the step began (the first ones saved), which cool down; returns
 * how many the step has changed. */
static u32 cool_down(bool *ok)
{
	u32 kept = 0, changed = 0;

	for (u32 i = 0; i < own.n_hot; i++) {
		u32 page = own.hot[i].page;
		size_t at = (size_t)page * PAGE;
		bool same = memcmp(own.old + at, own.arena + at, PAGE) == 0;

		changed += !same;
		own.hot[i].quiet = same ? own.hot[i].quiet + 1 : 0;
		if (own.hot[i].quiet >= HOT_STEPS)
			*ok = page_protect(page) && *ok;
		else
			own.hot[kept++] = own.hot[i];
	}
	own.n_hot = kept;
	return changed;
}

u32 journal_mark(void)
{
	u32 trapped = own.saved - own.n_hot, changed;
	bool ok = true;

	own.in_step = false;
	changed = cool_down(&ok) + trapped;
	/* Rights first: with the count at 0 no store may pass unseen. */
	if (own.n_hot + trapped > HOT_PAGES) {
		own.n_hot = 0;
		ok = protect_all(PROT_READ) == 0 && ok;
	} else {
		for (u32 i = 0; i < trapped; i++) {
			own.hot[own.n_hot].quiet = 0;
			own.hot[own.n_hot++].page = own.trapped[i];
		}
	}
	if (!ok)
		abort();
	own.saved = 0;
	__atomic_store_n(&own.head->saved, 0, __ATOMIC_SEQ_CST);
	return changed;
}

void journal_close(void)
{
	if (!own.head)
		return;
	if (own.in_step)
		(void)journal_mark();
	(void)protect_all(PROT_READ | PROT_WRITE);
	(void)sigaction(SIGSEGV, &own.before, NULL);
	free(own.saved_in);
	own.head = NULL;
}
