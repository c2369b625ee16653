/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/fmt.h"

#include <errno.h>

static const char hex_digit[16] = "0123456789abcdef";

void fmt_init(struct fmt *f, char *buf, size_t bytes)
{
	f->start = buf;
	f->at = buf;
	f->end = buf + bytes;
	f->truncated = false;
	*buf = '\0';
}

int fmt_result(const struct fmt *f)
{
	return f->truncated ? -ENOSPC : (int)fmt_len(f);
}

void fmt_mem(struct fmt *f, const char *s, size_t len)
{
	if (f->truncated || (size_t)(f->end - f->at) <= len) {
		f->truncated = true;
		return;
	}
	memcpy(f->at, s, len);
	f->at += len;
	*f->at = '\0';
}

void fmt_char(struct fmt *f, char c)
{
	fmt_mem(f, &c, 1);
}

void fmt_str(struct fmt *f, const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;
	fmt_mem(f, s, len);
}

/* Writes digits before `end`; returns their first. */
static char *digits_before(char *end, u64 v, u32 base, u32 digits)
{
	do {
		*--end = hex_digit[v % base];
		v /= base;
		if (digits)
			digits--;
	} while (v || digits);
	return end;
}

void fmt_u64(struct fmt *f, u64 v)
{
	char b[20];
	char *p = digits_before(b + sizeof(b), v, 10, 0);

	fmt_mem(f, p, (size_t)(b + sizeof(b) - p));
}

void fmt_s64(struct fmt *f, s64 v)
{
	char b[21];
	char *p = digits_before(b + sizeof(b), v < 0 ? 0 - (u64)v : (u64)v, 10, 0);

	if (v < 0)
		*--p = '-';
	fmt_mem(f, p, (size_t)(b + sizeof(b) - p));
}

void fmt_hex(struct fmt *f, u64 v, u32 digits)
{
	char b[16];
	char *p = digits_before(b + sizeof(b), v, 16, min_of(digits, 16u));

	fmt_mem(f, p, (size_t)(b + sizeof(b) - p));
}

void fmt_hex_bytes(struct fmt *f, const void *data, size_t len)
{
	const u8 *p = data;

	/* All or nothing, and no half byte at the end. */
	if (f->truncated || (size_t)(f->end - f->at) / 2 < len ||
	    (size_t)(f->end - f->at) <= 2 * len) {
		f->truncated = true;
		return;
	}
	for (size_t i = 0; i < len; i++)
		fmt_hex(f, p[i], 2);
}

void fmt_mac(struct fmt *f, const struct mac_addr *mac)
{
	char b[17];

	for (u32 i = 0; i < 6; i++) {
		b[3 * i] = hex_digit[mac->b[i] >> 4];
		b[3 * i + 1] = hex_digit[mac->b[i] & 15];
		if (i < 5)
			b[3 * i + 2] = ':';
	}
	fmt_mem(f, b, sizeof(b));
}

static void ip4_text(struct fmt *f, const u8 *b)
{
	for (u32 i = 0; i < 4; i++) {
		if (i)
			fmt_char(f, '.');
		fmt_u64(f, b[i]);
	}
}

/* RFC 5952 4.2: the longest run of at least two zero groups, the first of equals. */
static u32 zero_run(const u16 *group, u32 *ret_start)
{
	u32 best = 1;

	*ret_start = 8;
	for (u32 i = 0; i < 8; i++) {
		u32 n = 0;

		while (i + n < 8 && group[i + n] == 0)
			n++;
		if (n > best) {
			best = n;
			*ret_start = i;
		}
	}
	return best;
}

static void ip6_text(struct fmt *f, const u8 *b)
{
	u16 group[8];
	u32 start, run, i = 0;

	for (u32 g = 0; g < 8; g++)
		group[g] = (u16)(b[2 * g] << 8 | b[2 * g + 1]);
	run = zero_run(group, &start);
	while (i < 8) {
		if (i == start) {
			fmt_str(f, "::");
			i += run;
			continue;
		}
		if (i && i != start + run)
			fmt_char(f, ':');
		fmt_hex(f, group[i++], 1);
	}
}

void fmt_ip(struct fmt *f, const struct ip_addr *ip)
{
	char text[FMT_IP_BYTES];
	struct fmt one;

	fmt_init(&one, text, sizeof(text));
	if (ip_addr_is_v4(ip))
		ip4_text(&one, ip->b + 12);
	else
		ip6_text(&one, ip->b);
	fmt_mem(f, text, fmt_len(&one));
}

void fmt_ip_port(struct fmt *f, const struct ip_addr *ip, u16 port)
{
	bool v6 = !ip_addr_is_v4(ip);

	if (v6)
		fmt_char(f, '[');
	fmt_ip(f, ip);
	fmt_str(f, v6 ? "]:" : ":");
	fmt_u64(f, port);
}

static void json_char(struct fmt *f, u8 c)
{
	if (c == '"' || c == '\\') {
		char b[2] = {'\\', (char)c};

		fmt_mem(f, b, 2);
	} else if (c < 0x20) {
		char b[6] = {'\\', 'u', '0', '0', hex_digit[c >> 4], hex_digit[c & 15]};

		fmt_mem(f, b, 6);
	} else {
		fmt_char(f, (char)c);
	}
}

void fmt_json_str(struct fmt *f, const char *s)
{
	fmt_char(f, '"');
	for (; *s; s++)
		json_char(f, (u8)*s);
	fmt_char(f, '"');
}
