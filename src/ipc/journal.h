/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The journal of an arena: a process that works on shared state may die at any instruction, and
 * whoever comes after it finds the state as it was at the last mark.
 *
 * It is an undo log of pages. Outside of a step the arena is read-only. journal_begin() arms it:
 * the first store into a page traps, the page is copied into the journal, counted, and made
 * writable. A page that was written into lately stays writable and is copied when a step begins,
 * without a trap, until some steps have not changed it. journal_mark() ends the step with one
 * store: the count becomes 0. Whatever a step causes outside of the arena (frames, completions,
 * indications, ring counters) leaves only after its mark. Then a step of a dead process either
 * happened as a whole, or, after journal_undo(), it did not happen at all: its peer sends what was
 * not acknowledged again.
 *
 * The journal lies in shared memory of its own, as large as the arena and a little more; a memfd
 * has pages only where a step has ever written:
 *
 *    0  4  number of pages saved in this step
 *    4  4  pages of the arena
 *    8  4  each: index of a saved page, in the order of saving
 *   then, at the next page: the old content of each page of the arena, by its index
 *
 * The kernel does not trap: a system call gets EFAULT when it writes into a page that the step has
 * not written into yet. Read into memory outside of the arena, or store a byte there first.
 *
 * One journal a process, and one thread that steps: the trap is SIGSEGV.
 */
#ifndef IPC_JOURNAL_H
#define IPC_JOURNAL_H

#include "base/types.h"

/* Bytes of the journal of an arena of that many bytes (both multiples of 4096). */
size_t journal_bytes(size_t arena_bytes);

/*
 * Undoes the step that a dead process was in, if any: the pages in the journal go back, then the
 * journal is empty. Call it before the arena is read (target_attach()), in whatever process; it may
 * itself be killed and called again. *ret_pages (may be NULL): pages put back, 0: nothing was
 * half done. What the dead process wrote into the journal is not trusted. -EPROTO: it is not a
 * journal of this arena, nothing was changed; the arena is of no use then. -EINVAL: sizes.
 */
int journal_undo(void *journal, void *arena, size_t arena_bytes, u32 *ret_pages) MUST_CHECK;

/*
 * This process works on the arena from now on: the arena becomes read-only, an empty journal (all
 * zero, or after journal_undo()) is laid out. Both are mapped shared, page-aligned, the caller's.
 * -EBUSY: a step is half done, undo it first; or this process has a journal already.
 * -EINVAL: sizes, alignment. -ENOMEM, -errno of mprotect() and sigaction().
 */
int journal_open(void *journal, void *arena, size_t arena_bytes) MUST_CHECK;
/* Ends it; the arena stays writable. A step that was begun is kept (as journal_mark()). */
void journal_close(void);

/* A step begins: stores into the arena are noted from here on. */
void journal_begin(void);
/* The step that was begun is done and whole. Returns the pages that it wrote into. */
u32 journal_mark(void);

#endif
