/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/json_value.h"

void json_value_hex(struct json_in *in, struct json_str hex, u8 *ret, size_t room)
{
	if (hex.len % 2 || hex.len / 2 > room) {
		json_fail(in, DECODE_VALUE);
		return;
	}
	for (size_t i = 0; i < hex.len / 2; i++) {
		int high = json_hex_digit(hex.s[2 * i]);
		int low = json_hex_digit(hex.s[2 * i + 1]);

		if (high < 0 || low < 0) {
			json_fail(in, DECODE_VALUE);
			return;
		}
		ret[i] = (u8)(high << 4 | low);
	}
}

/* Up to `max` hexadecimal digits from *at on; false when there is none. */
static bool take_hex(struct json_str str, size_t *at, u32 max, u64 *ret)
{
	size_t start = *at;

	*ret = 0;
	for (; *at < str.len && *at - start < max; (*at)++) {
		int digit = json_hex_digit(str.s[*at]);

		if (digit < 0)
			break;
		*ret = *ret << 4 | (u64)digit;
	}
	return *at > start;
}

static bool take_char(struct json_str str, size_t *at, char c)
{
	if (*at >= str.len || str.s[*at] != c)
		return false;
	(*at)++;
	return true;
}

handle json_value_handle(struct json_in *in)
{
	struct json_str str = json_string(in);
	size_t at = 2;
	u64 v = HANDLE_NONE;

	if (str.len < 3 || str.s[0] != '0' || str.s[1] != 'x' || !take_hex(str, &at, 16, &v) ||
	    at != str.len)
		json_fail(in, DECODE_VALUE);
	return v;
}

void json_value_mac(struct json_in *in, struct mac_addr *ret)
{
	struct json_str str = json_string(in);

	for (size_t i = 0; i < 6; i++) {
		if (str.len != 17 || (i && str.s[3 * i - 1] != ':')) {
			json_fail(in, DECODE_VALUE);
			return;
		}
		json_value_hex(in, (struct json_str){str.s + 3 * i, 2}, &ret->b[i], 1);
	}
}

static bool parse_ip4(struct json_str str, u8 out[16])
{
	size_t at = 0;

	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	for (u32 i = 0; i < 4; i++) {
		size_t start;
		u32 v = 0;

		if (i && !take_char(str, &at, '.'))
			return false;
		start = at;
		for (; at < str.len && str.s[at] >= '0' && str.s[at] <= '9' && at - start < 3; at++)
			v = v * 10 + (u32)(str.s[at] - '0');
		/* A leading zero is octal to some: refused. */
		if (at == start || v > 255 || (str.s[start] == '0' && at - start > 1))
			return false;
		out[12 + i] = (u8)v;
	}
	return at == str.len;
}

static bool parse_ip6(struct json_str str, u8 out[16])
{
	u32 n = 0, gap = NIL;
	size_t at = 0;

	memset(out, 0, 16);
	if (take_char(str, &at, ':') && !(at < str.len && str.s[at] == ':'))
		return false;
	while (n < 8) {
		u64 group;

		/* A second ':' at a group's place is the gap, once. */
		if (gap == NIL && take_char(str, &at, ':')) {
			gap = n;
			if (at == str.len)
				break;
		}
		if (!take_hex(str, &at, 4, &group))
			return false;
		out[2 * n] = (u8)(group >> 8);
		out[2 * n + 1] = (u8)group;
		n++;
		if (at == str.len || n == 8)
			break;
		if (!take_char(str, &at, ':'))
			return false;
	}
	if (at != str.len || (gap == NIL) != (n == 8))
		return false;
	if (gap != NIL) {
		memmove(out + 16 - 2 * (n - gap), out + 2 * gap, 2 * (n - gap));
		memset(out + 2 * gap, 0, 16 - 2 * n);
	}
	return true;
}

void json_value_ip(struct json_in *in, struct ip_addr *ret)
{
	struct json_str str = json_string(in);

	if (!parse_ip4(str, ret->b) && !parse_ip6(str, ret->b))
		json_fail(in, DECODE_VALUE);
}

void json_value_vlans(struct json_in *in, struct vlan_stack *ret)
{
	ret->n = 0;
	json_expect(in, '[');
	for (bool first = true; json_element(in, &first);) {
		if (ret->n == VLAN_DEPTH_MAX) {
			json_fail(in, DECODE_VALUE);
			return;
		}
		ret->tag[ret->n++] = (u32)json_number(in, UINT32_MAX);
	}
}

void json_value_ranges(struct json_in *in, struct seq_ranges *ret)
{
	ret->n = 0;
	json_expect(in, '[');
	for (bool first = true; json_element(in, &first);) {
		struct seq_range *range = &ret->r[ret->n];

		if (ret->n == SEQ_RANGES_MAX) {
			json_fail(in, DECODE_VALUE);
			return;
		}
		json_expect(in, '[');
		range->start = seq_of((u32)json_number(in, UINT32_MAX));
		json_expect(in, ',');
		range->end = seq_of((u32)json_number(in, UINT32_MAX));
		json_expect(in, ']');
		ret->n++;
	}
}

void json_value_cc(struct json_in *in, struct cc_private *ret)
{
	static const char *const names[] = {"type", "version", "bytes"};
	struct json_str name, hex;
	u64 seen = 0;

	json_expect(in, '{');
	for (bool first = true; json_member(in, &first, &name);) {
		switch (json_name(in, name, names, ARRAY_SIZE(names), &seen)) {
		case 0:
			ret->type = (u8)json_number(in, UINT8_MAX);
			break;
		case 1:
			ret->version = (u8)json_number(in, UINT8_MAX);
			break;
		case 2:
			hex = json_string(in);
			json_value_hex(in, hex, ret->bytes, CC_PRIVATE_BYTES);
			ret->len = (u16)(json_ok(in) ? hex.len / 2 : 0);
			break;
		}
	}
	json_need(in, seen, 7);
}
