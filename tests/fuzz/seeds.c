// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * usage: fuzz_seeds DIRECTORY: writes valid lists in both forms to DIRECTORY/binary and
 * DIRECTORY/json, which must exist. They follow the schema, so they are made anew before each run
 * and not kept: a corpus of theirs would be refused at the first changed variable.
 */
#include "forest.h"
#include "fuzz.h"

#include "state/binary.h"
#include "state/json.h"

#include <errno.h>

enum { SEEDS = 24 };

static FILE *create(const char *dir, const char *form, u32 i)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/seed-%02u", dir, form, i);
	f = fopen(path, "wb");
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	return f;
}

static int put_text(void *context, const char *text, size_t len)
{
	return fwrite(text, 1, len, context) == len ? 0 : -EIO;
}

static void write_seed(const char *dir, struct prng *rng, u32 i)
{
	struct forest_config config = {
		.call = i % BLOCK_CALLS,
		.roots = 1 + i % 2,
		.paths = 1,
		.conns = 1 + i % 3,
		.bytes = i % 2 * 40,
		.linkers_ppm = 200000,
	};
	static u8 form[1 << 20];
	struct forest f;
	FILE *out;
	u64 n;

	forest_make(&f, rng, &config);
	FUZZ_MUST(!binary_encode(&f.list, form, sizeof(form), &n));
	out = create(dir, "binary", i);
	FUZZ_MUST(fwrite(form, 1, n, out) == n);
	fclose(out);
	out = create(dir, "json", i);
	FUZZ_MUST(!json_write_list(&f.list, put_text, out));
	fclose(out);
	forest_free(&f);
}

int main(int argc, char **argv)
{
	struct prng rng;

	if (argc != 2) {
		fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
		return 2;
	}
	prng_seed(&rng, 1);
	for (u32 i = 0; i < SEEDS; i++)
		write_seed(argv[1], &rng, i);
	return 0;
}
