// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Any bytes as JSON of a list: refused with the place and nothing held, or a list that, where it is
 * a valid one, is written as a text that reads as the same list: their binary forms are equal. */
#include "fuzz_form.h"

struct text {
	char bytes[FORM_BYTES_MAX];
	size_t len;
};

static int append(void *context, const char *text, size_t len)
{
	struct text *t = context;

	FUZZ_MUST(t->len + len <= sizeof(t->bytes));
	memcpy(t->bytes + t->len, text, len);
	t->len += len;
	return 0;
}

static void again(const struct form *a)
{
	static u8 first[FORM_BYTES_MAX], second[FORM_BYTES_MAX];
	static struct text text;
	static struct form b;
	u64 n, m;

	text.len = 0;
	if (!form_is_valid(a))
		return;
	FUZZ_MUST(!json_write_list(&a->list, append, &text));
	form_begin(&b);
	FUZZ_MUST(!json_read_list(&b.list, (const u8 *)text.bytes, text.len, NULL));
	FUZZ_MUST(!binary_encode(&a->list, first, sizeof(first), &n));
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
	err = json_read_list(&f.list, data, size, &error);
	if (err)
		FUZZ_MUST(error.kind != DECODE_OK && error.offset <= size && !f.list.n_blocks);
	else
		again(&f);
	form_end(&f, !err);
	return 0;
}
