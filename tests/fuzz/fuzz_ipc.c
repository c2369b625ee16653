// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Any bytes as the head of a dead process's journal: refused and nothing changed, or each page of
 * the arena is what it was or what the journal holds of it; and nothing is left to be undone. */
#include "fuzz.h"

#include <errno.h>

#include "ipc/journal.h"

enum { PAGE = 4096, PAGES = 4 };

static void check_pages(const u8 *arena, u32 undone)
{
	u32 changed = 0;

	for (u32 i = 0; i < PAGES * PAGE; i++) {
		FUZZ_MUST(arena[i] == arena[i / PAGE * PAGE]);
		FUZZ_MUST(arena[i] == 1 || arena[i] == 2);
	}
	for (u32 i = 0; i < PAGES; i++)
		changed += arena[i * PAGE] == 2;
	FUZZ_MUST(changed <= undone && (changed || !undone));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 arena[PAGES * PAGE], journal[(PAGES + 1) * PAGE];
	u32 undone = 0;
	int err;

	FUZZ_MUST(journal_bytes(sizeof(arena)) == sizeof(journal));
	memset(arena, 1, sizeof(arena));
	memset(journal, 2, sizeof(journal));
	memcpy(journal, data, min_of(size, (size_t)PAGE));
	err = journal_undo(journal, arena, sizeof(arena), &undone);
	FUZZ_MUST(err == 0 || (err == -EPROTO && undone == 0));
	check_pages(arena, undone);
	if (err == 0)
		FUZZ_MUST(journal_undo(journal, arena, sizeof(arena), &undone) == 0 && undone == 0);
	return 0;
}
