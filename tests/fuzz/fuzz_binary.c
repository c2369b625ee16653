// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Any bytes as the binary form: refused and nothing held, or a list whose own form reads as the
 * same list again, byte for byte. */
#include "fuzz_form.h"

static void again(const struct form *a)
{
	static u8 first[FORM_BYTES_MAX], second[FORM_BYTES_MAX];
	static struct form b;
	u64 n, m;

	if (binary_encode(&a->list, first, sizeof(first), &n)) {
		FUZZ_MUST(!form_is_valid(a));
		return;
	}
	form_begin(&b);
	FUZZ_MUST(!binary_decode(&b.list, first, n, NULL));
	FUZZ_MUST(!binary_encode(&b.list, second, sizeof(second), &m));
	FUZZ_MUST(n == m && !memcmp(first, second, n));
	form_end(&b, true);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct form f;
	struct decode_error error = {DECODE_OK, 0};
	int err;

	form_begin(&f);
	err = binary_decode(&f.list, data, size, &error);
	if (err)
		FUZZ_MUST(error.kind != DECODE_OK && error.offset <= size && !f.list.n_blocks);
	else
		again(&f);
	form_end(&f, !err);
	return 0;
}
