/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "cli/pattern.h"

enum {
	PERIOD = 65521, /* prime, so that no power-of-two shift goes unseen */
	RUN = 65536,
};

static u8 table[PERIOD + RUN];

void pattern_init(void)
{
	u64 x = 0x9e3779b97f4a7c15ull;

	for (u32 i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		table[i] = (u8)(x >> 32);
	}
	for (u32 i = PERIOD; i < sizeof(table); i++)
		table[i] = table[i - PERIOD];
}

u32 pattern_run(void)
{
	return RUN;
}

const u8 *pattern_at(u32 stream, enum pattern_direction dir, u64 offset)
{
	u64 start = (u64)stream * 40503u + (u64)dir * 20011u;

	return &table[(start + offset) % PERIOD];
}

u64 pattern_wrong(u32 stream, enum pattern_direction dir, u64 offset, const u8 *data, u32 len)
{
	u64 wrong = 0;

	while (len) {
		const u8 *want = pattern_at(stream, dir, offset);
		u32 n = min_of(len, (u32)RUN);

		if (memcmp(want, data, n)) {
			for (u32 i = 0; i < n; i++)
				wrong += want[i] != data[i];
		}
		data += n;
		offset += n;
		len -= n;
	}
	return wrong;
}
