/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The codecs of ESP and AH, on bytes whose end a sanitizer sees. */
#include "unit.h"

#include "captures.h"
#include "wire/ah.h"
#include "wire/esp.h"

static void esp_header(void **state)
{
	u8 p[8];
	struct wire_esp esp;

	assert_int_equal(capture_bytes("0000100000000007", p), 8);
	assert_int_equal(wire_esp_parse(p, 8, &esp), WIRE_OK);
	assert_int_equal(esp.spi, 0x1000);
	assert_int_equal(esp.seq, 7);
	assert_int_equal(wire_esp_parse(p, 7, &esp), WIRE_ESP_SHORT);
	p[2] = 0;
	assert_int_equal(wire_esp_parse(p, 8, &esp), WIRE_SPI_ZERO);
}

/* RFC 4303 2.4: every length and alignment; the padding counts up from 1. */
static void esp_trailer(void **state)
{
	for (u32 align = 4; align <= 16; align *= 2) {
		for (u32 len = 0; len < 40; len++) {
			u32 bytes = wire_esp_trailer_bytes(len, align), got;
			u8 p[80] = {0}, next;

			assert_int_equal((len + bytes) % align, 0);
			assert_in_range(bytes, 2, align + 1);
			wire_esp_trailer_write(p + len, bytes, 6);
			assert_int_equal(p[len + bytes - 2], bytes - 2);
			assert_int_equal(wire_esp_trailer_parse(p, len + bytes, &got, &next),
			                 WIRE_OK);
			assert_int_equal(got, len);
			assert_int_equal(next, 6);
			for (u32 i = 0; i + 2 < bytes; i++) {
				assert_int_equal(p[len + i], i + 1);
				p[len + i] ^= 0x80;
				assert_int_equal(
					wire_esp_trailer_parse(p, len + bytes, &got, &next),
					WIRE_ESP_PADDING);
				p[len + i] ^= 0x80;
			}
		}
	}
}

/* The longest padding there is, and one byte more than the packet has. */
static void esp_padding_bounds(void **state)
{
	u8 p[257], next;
	u32 len;

	wire_esp_trailer_write(p, 257, 59);
	assert_int_equal(wire_esp_trailer_parse(p, 257, &len, &next), WIRE_OK);
	assert_int_equal(len, 0);
	assert_int_equal(wire_esp_trailer_parse(p + 1, 256, &len, &next), WIRE_ESP_PADDING);
	assert_int_equal(wire_esp_trailer_parse(p, 1, &len, &next), WIRE_ESP_SHORT);
	assert_int_equal(wire_esp_trailer_parse(p, 0, &len, &next), WIRE_ESP_SHORT);
}

/* RFC 4302 2.2, 2.6. */
static void ah_header(void **state)
{
	struct wire_ah ah = {.spi = 0x1000, .seq = 9, .next_header = 6}, got;
	u8 p[40];

	assert_int_equal(wire_ah_bytes(16, 4), 28);
	assert_int_equal(wire_ah_bytes(16, 6), 32);
	assert_int_equal(wire_ah_bytes(24, 4), 36);
	assert_int_equal(wire_ah_bytes(24, 6), 40);
	for (u32 bytes = 12; bytes <= 40; bytes += 4) {
		ah.bytes = (u8)bytes;
		memset(p, 0xff, sizeof(p));
		memset(&got, 0, sizeof(got)); /* what lies between the fields too */
		assert_int_equal(wire_ah_write(p, &ah), bytes);
		assert_int_equal(wire_ah_parse(p, bytes, 4, &got), WIRE_OK);
		assert_memory_equal(&got, &ah, sizeof(ah));
		assert_int_equal(wire_ah_parse(p, bytes, 6, &got),
		                 bytes % 8 ? WIRE_AH_LENGTH : WIRE_OK);
		assert_int_equal(wire_ah_parse(p, bytes - 1, 4, &got),
		                 bytes == 12 ? WIRE_AH_SHORT : WIRE_AH_LENGTH);
	}
	p[1] = 0; /* 8 bytes: less than its fixed part */
	assert_int_equal(wire_ah_parse(p, 40, 4, &got), WIRE_AH_LENGTH);
	p[1] = 255;
	assert_int_equal(wire_ah_parse(p, 40, 4, &got), WIRE_AH_LENGTH);
	p[1] = 5;
	memset(p + 4, 0, 4);
	assert_int_equal(wire_ah_parse(p, 40, 4, &got), WIRE_SPI_ZERO);
}

static void assert_zeroed(const char *header, const char *want)
{
	u8 p[64], w[64];
	u32 len = capture_bytes(header, p);

	assert_int_equal(capture_bytes(want, w), len);
	assert_int_equal(wire_ah_zero_mutable(p, len), WIRE_OK);
	assert_memory_equal(p, w, len);
}

/* RFC 4302 appendix A1: router alert and security stay; record route, timestamp and unknown ones
 * go, type and length included; what follows the end of the list is padding and stays. */
static void ah_mutable_fields(void **state)
{
	assert_zeroed("4512002c004d40003d06297d0a0000010a000002",
	              "4500002c004d0000000600000a0000010a000002");
	assert_zeroed("4800002c004d20003d06297d0a0000010a000002"
	              "9404000001070708aabbccdd",
	              "4800002c004d0000000600000a0000010a000002"
	              "940400000100000000000000");
	assert_zeroed("4800002c004d20003d06297d0a0000010a000002"
	              "8204abcd440400ff00ffff00",
	              "4800002c004d0000000600000a0000010a000002"
	              "8204abcd0000000000ffff00");
	assert_zeroed("6abcdef00020063dfd010000000000000000000000000001"
	              "fd010000000000000000000000000002",
	              "6000000000200600fd010000000000000000000000000001"
	              "fd010000000000000000000000000002");
}

static void ah_broken_options(void **state)
{
	static const char *const options[] = {"07000000", "07010000", "07050000", "01010107"};

	for (u32 i = 0; i < ARRAY_SIZE(options); i++) {
		u8 *p = malloc(24);

		(void)capture_bytes("4600002c004d20003d06297d0a0000010a000002", p);
		(void)capture_bytes(options[i], p + 20);
		assert_int_equal(wire_ah_zero_mutable(p, 24), WIRE_IP_HEADER_LENGTH);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(esp_header),         cmocka_unit_test(esp_trailer),
		cmocka_unit_test(esp_padding_bounds), cmocka_unit_test(ah_header),
		cmocka_unit_test(ah_mutable_fields),  cmocka_unit_test(ah_broken_options),
	};

	return RUN_TESTS(tests);
}
