/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/fmt.h"

static void assert_ip(const char *in, const char *out)
{
	struct ip_addr ip;
	char text[FMT_IP_BYTES];
	struct fmt f;

	assert_int_equal(inet_pton(AF_INET6, in, ip.b), 1);
	fmt_init(&f, text, sizeof(text));
	fmt_ip(&f, &ip);
	assert_string_equal(text, out);
	assert_int_equal(fmt_result(&f), strlen(out));
}

static void test_ip(void **state)
{
	assert_ip("::ffff:10.0.200.255", "10.0.200.255");
	assert_ip("::", "::");
	assert_ip("::1", "::1");
	assert_ip("1::", "1::");
	assert_ip("2001:db8::1", "2001:db8::1");
	assert_ip("2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1");
	/* RFC 5952 4.2.2: one group is not shortened. */
	assert_ip("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	/* 4.2.3: the longest run, the first of equals. */
	assert_ip("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
	assert_ip("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
	/* 4.3: lower case. */
	assert_ip("FE80::ABCD:0:0:9", "fe80::abcd:0:0:9");
	assert_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_numbers(void **state)
{
	char text[200];
	struct fmt f;

	fmt_init(&f, text, sizeof(text));
	fmt_u64(&f, 0);
	fmt_char(&f, ' ');
	fmt_u64(&f, UINT64_MAX);
	fmt_char(&f, ' ');
	fmt_s64(&f, INT64_MIN);
	fmt_char(&f, ' ');
	fmt_s64(&f, -1);
	fmt_char(&f, ' ');
	fmt_s64(&f, INT64_MAX);
	fmt_char(&f, ' ');
	fmt_hex(&f, 0, 1);
	fmt_char(&f, ' ');
	fmt_hex(&f, 0xabc, 8);
	fmt_char(&f, ' ');
	fmt_hex(&f, UINT64_MAX, 1);
	fmt_char(&f, ' ');
	fmt_hex_bytes(&f, "\x01\xfe", 2);
	assert_string_equal(text, "0 18446744073709551615 -9223372036854775808 -1 "
	                          "9223372036854775807 0 00000abc ffffffffffffffff 01fe");
	assert_int_equal(fmt_result(&f), strlen(text));
}

static void test_mac_and_port(void **state)
{
	const struct mac_addr mac = {{0x02, 0, 0x5e, 0xff, 0x10, 0x0a}};
	struct ip_addr v6 = {{0x20, 0x01, [15] = 1}};
	struct ip_addr v4 = {{[10] = 0xff, [11] = 0xff, [12] = 127, 0, 0, 1}};
	char text[100];
	struct fmt f;

	fmt_init(&f, text, sizeof(text));
	fmt_mac(&f, &mac);
	fmt_char(&f, ' ');
	fmt_ip_port(&f, &v6, 65535);
	fmt_char(&f, ' ');
	fmt_ip_port(&f, &v4, 80);
	assert_string_equal(text, "02:00:5e:ff:10:0a [2001::1]:65535 127.0.0.1:80");
}

static void test_json_string(void **state)
{
	char text[100];
	struct fmt f;

	fmt_init(&f, text, sizeof(text));
	fmt_json_str(&f, "a\"b\\c\n\x1f\xc3\xa4");
	assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\\u001f\xc3\xa4\"");
}

/* At every size: a prefix of calls, terminated, nothing beyond the buffer. */
static void test_truncation(void **state)
{
	static const char whole[] = "ab12ff00cd7";

	for (size_t size = 1; size <= sizeof(whole) + 1; size++) {
		char text[32];
		struct fmt f;

		memset(text, '#', sizeof(text));
		fmt_init(&f, text, size);
		fmt_str(&f, "ab");
		fmt_u64(&f, 12);
		fmt_hex_bytes(&f, "\xff\x00\xcd", 3);
		fmt_char(&f, '7');
		assert_int_equal(text[size], '#');
		assert_int_equal(text[fmt_len(&f)], '\0');
		assert_memory_equal(text, whole, fmt_len(&f));
		if (size >= sizeof(whole)) {
			assert_int_equal(fmt_result(&f), sizeof(whole) - 1);
			continue;
		}
		assert_int_equal(fmt_result(&f), -ENOSPC);
		assert_int_equal(fmt_len(&f), size < 3 ? 0 : size < 5 ? 2 : size < 11 ? 4 : 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip),           cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_mac_and_port), cmocka_unit_test(test_json_string),
		cmocka_unit_test(test_truncation),
	};

	return RUN_TESTS(tests);
}
