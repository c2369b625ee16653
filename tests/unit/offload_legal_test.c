/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The legality table against the one of the specification, letter by letter; words; requests. */
#include "unit.h"

#include <errno.h>

#include "offload/legal.h"
#include "offload/offload.h"
#include "offload/request.h"

/* Rows and columns in the order of the enums: Y legal, L as linker, Q queued, R upload requests
 * only, W wait, U upload in progress, A aborted, H host stack, - not legal. */
static const char *const expected[OBJECT_STATES] = {
	"Y----H--", /* in host */
	"-WWWWWWW", /* offloading */
	"LYYYYYYY", /* offloaded */
	"-YYYYUUY", /* upload requested */
	"--Y-YQUR", /* invalid */
	"-----UUU", /* uploading */
	"-YYYYAA-", /* aborted */
};

static enum status status_of(char letter)
{
	switch (letter) {
	case 'Y':
	case 'L':
	case 'Q':
		return STATUS_OK;
	case 'W':
		return STATUS_BUSY;
	case 'U':
		return STATUS_UPLOAD_IN_PROGRESS;
	case 'A':
		return STATUS_ABORTED;
	default:
		return STATUS_BAD_STATE;
	}
}

static void every_cell(void **state)
{
	static const char letters[] = {
		[LEGAL_NEVER] = '-',     [LEGAL_YES] = 'Y',     [LEGAL_LINKER] = 'L',
		[LEGAL_QUEUED] = 'Q',    [LEGAL_REQUEST] = 'R', [LEGAL_WAIT] = 'W',
		[LEGAL_UPLOADING] = 'U', [LEGAL_ABORTED] = 'A', [LEGAL_HOST_STACK] = 'H',
	};

	for (u32 s = 0; s < OBJECT_STATES; s++) {
		for (u32 c = 0; c < LEGAL_CALLS; c++) {
			assert_int_equal(letters[legal_verdict(s, c)], expected[s][c]);
			assert_int_equal(legal_check(s, c), status_of(expected[s][c]));
		}
	}
	assert_int_equal(legal_verdict(OBJECT_STATES, 0), LEGAL_NEVER);
	assert_int_equal(legal_verdict(0, LEGAL_CALLS), LEGAL_NEVER);
	assert_int_equal(legal_check(UINT32_MAX, UINT32_MAX), STATUS_BAD_STATE);
}

static void words_are_distinct(void **state)
{
	for (u32 i = 0; i < UPLOAD_REASONS; i++) {
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(upload_reason_word(i), upload_reason_word(j));
		assert_string_not_equal(upload_reason_sentence(i), "Unknown reason.");
	}
	assert_string_equal(upload_reason_sentence(UPLOAD_REASONS), "Unknown reason.");
	assert_string_equal(upload_reason_word(UPLOAD_REASONS), "unknown");
	assert_string_equal(upload_reason_word(UPLOAD_URGENT), "urgent-data");
	for (u32 i = 0; i < 15; i++) {
		assert_string_not_equal(feature_name(1u << i), "unknown");
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(feature_name(1u << i), feature_name(1u << j));
	}
	assert_string_equal(feature_name(FEATURE_SACK), "sack");
	assert_string_equal(feature_name(FEATURE_CHECKPOINT), "checkpoint");
	assert_string_equal(feature_name(0), "unknown");
	assert_string_equal(feature_name(3), "unknown");
	assert_string_equal(feature_name(1u << 31), "unknown");
	for (u32 i = 0; i < OBJECT_STATES; i++)
		assert_string_not_equal(object_state_word(i), "unknown");
	assert_string_equal(object_state_word(OBJECT_STATES), "unknown");
}

/* R78: which reasons let the device go on */
static void final_reasons(void **state)
{
	assert_true(upload_reason_is_final(UPLOAD_HARDWARE_FAILURE));
	assert_true(upload_reason_is_final(UPLOAD_INVALID_STATE));
	assert_true(upload_reason_is_final(UPLOAD_URGENT));
	assert_true(upload_reason_is_final(UPLOAD_TIMEOUT));
	assert_true(upload_reason_is_final(UPLOAD_DEVICE));
	assert_false(upload_reason_is_final(UPLOAD_LOW_ACTIVITY));
	assert_false(upload_reason_is_final(UPLOAD_HIGH_DROP_RATE));
	assert_false(upload_reason_is_final(UPLOAD_SMALL_IO));
	assert_false(upload_reason_is_final(UPLOAD_NO_BUFFERS));
	assert_false(upload_reason_is_final(UPLOAD_FRAGMENTATION));
	assert_false(upload_reason_is_final(UPLOAD_OUT_OF_ORDER));
}

/* R107: the device sees what each of the four layers asked for, and the sum */
static void needs_accumulate(void **state)
{
	struct offload_needs need = {.connections = 1, .recv_bytes = 1u << 31, .features = 1};
	struct offload_needs total;
	struct offload_request r;

	offload_request_init(&r, BLOCK_CALL_OFFLOAD, NULL, 7);
	assert_int_equal(r.cookie, 7);
	for (u32 i = 0; i < HOST_LAYERS; i++) {
		need.features = 1u << i;
		need.posted_buffers = i;
		assert_int_equal(offload_request_need(&r, &need), 0);
	}
	assert_int_equal(offload_request_need(&r, &need), -ENOSPC);
	offload_request_total(&r, &total);
	assert_int_equal(total.connections, 4);
	assert_int_equal(total.posted_buffers, 6);
	assert_int_equal(total.features, 15);
	assert_int_equal(total.recv_bytes, UINT32_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell),
		cmocka_unit_test(words_are_distinct),
		cmocka_unit_test(final_reasons),
		cmocka_unit_test(needs_accumulate),
	};

	return RUN_TESTS(tests);
}
