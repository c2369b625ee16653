// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A ring whose other side is a stranger that writes anything into the shared counters at any
 * moment: what this side is given always lies within the ring, never more entries than it has.
 */
#include "fuzz.h"

#include "base/ring.h"

enum { ENTRIES = 8 };

static void check_slot(const u8 *mem, size_t bytes, const void *slot)
{
	if (slot)
		FUZZ_MUST((const u8 *)slot >= mem + sizeof(struct ring_shared) &&
		          (const u8 *)slot + (1 << RING_ENTRY_SHIFT) <= mem + bytes);
}

static void step(struct ring *r, struct fuzz_in *in, const u8 *mem, size_t bytes, bool producer)
{
	u8 what = fuzz_u8(in);

	switch (what % 5) {
	case 0:
		__atomic_store_n(producer ? &r->shared->head : &r->shared->tail,
		                 what & 8 ? r->mine + (u32)(s32)(s8)fuzz_u8(in) : fuzz_u32(in),
		                 __ATOMIC_RELEASE);
		break;
	case 1:
		FUZZ_MUST((producer ? ring_room(r) : ring_ready(r)) <= ENTRIES);
		break;
	case 2:
		check_slot(mem, bytes, producer ? ring_push(r) : ring_pop(r));
		break;
	case 3:
		if (producer)
			ring_publish(r);
		else
			ring_release(r);
		break;
	default:
		if ((producer ? ring_check_producer(r) : ring_check_consumer(r)) == 0)
			FUZZ_MUST((producer ? ring_room(r) : ring_ready(r)) <= ENTRIES);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 mem[sizeof(struct ring_shared) + (ENTRIES << RING_ENTRY_SHIFT)] ALIGNED(64);
	struct fuzz_in in = {data, size};
	bool producer = fuzz_u8(&in) & 1;
	struct ring r;

	ring_init(mem);
	if (producer)
		ring_attach_producer(&r, mem, ENTRIES, RING_ENTRY_SHIFT);
	else
		ring_attach_consumer(&r, mem, ENTRIES, RING_ENTRY_SHIFT);
	while (in.left)
		step(&r, &in, mem, sizeof(mem), producer);
	return 0;
}
