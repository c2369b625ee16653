/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/pcapng.h"

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 6, /* enhanced */
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	LINKTYPE_ETHERNET = 1,
	OPTION_COMMENT = 1,
	OPTION_IF_NAME = 2,
	OPTION_IF_TSRESOL = 9,
};

/* Counts everything, writes what fits. */
struct writer {
	u8 *out;
	size_t size, at;
};

static void put_bytes(struct writer *w, const void *bytes, size_t n)
{
	if (w->at <= w->size && n <= w->size - w->at && n)
		memcpy(w->out + w->at, bytes, n);
	w->at += n;
}

static void put(struct writer *w, u64 v, u32 n)
{
	u8 le[8];

	for (u32 i = 0; i < n; i++)
		le[i] = (u8)(v >> (8 * i));
	put_bytes(w, le, n);
}

static void pad(struct writer *w)
{
	put(w, 0, (u32)(-w->at & 3));
}

static void put_option(struct writer *w, u32 code, const void *bytes, size_t n)
{
	put(w, code, 2);
	put(w, n, 2);
	put_bytes(w, bytes, n);
	pad(w);
}

static size_t text_bytes(const char *s)
{
	size_t n = 0;

	while (n < PCAPNG_COMMENT_MAX && s[n])
		n++;
	return n;
}

static struct writer begin(u8 *out, size_t size, u32 type)
{
	struct writer w = {.out = out, .size = size};

	put(&w, type, 4);
	put(&w, 0, 4); /* the length, when it is known */
	return w;
}

/* Options end, and the length stands at both ends of a block. */
static size_t end(struct writer *w, bool options)
{
	struct writer length = {.out = w->out, .size = w->size, .at = 4};
	size_t bytes;

	if (options)
		put(w, 0, 4);
	bytes = w->at + 4;
	put(w, bytes, 4);
	if (w->at > w->size)
		return 0;
	put(&length, bytes, 4);
	return bytes;
}

size_t pcapng_section(u8 *out, size_t size)
{
	struct writer w = begin(out, size, BLOCK_SECTION);

	put(&w, BYTE_ORDER_MAGIC, 4);
	put(&w, 1, 2); /* version 1.0 */
	put(&w, 0, 2);
	put(&w, UINT64_MAX, 8); /* length of the section: not known */
	return end(&w, false);
}

size_t pcapng_interface(u8 *out, size_t size, const char *name, u32 snap_bytes)
{
	struct writer w = begin(out, size, BLOCK_INTERFACE);
	u8 nanoseconds = 9;

	put(&w, LINKTYPE_ETHERNET, 2);
	put(&w, 0, 2);
	put(&w, snap_bytes, 4);
	put_option(&w, OPTION_IF_NAME, name, text_bytes(name));
	put_option(&w, OPTION_IF_TSRESOL, &nanoseconds, 1);
	return end(&w, true);
}

size_t pcapng_packet(u8 *out, size_t size, u32 interface, u64 at_ns, const u8 *data, u32 captured,
                     u32 bytes, const char *comment)
{
	struct writer w = begin(out, size, BLOCK_PACKET);

	put(&w, interface, 4);
	put(&w, at_ns >> 32, 4);
	put(&w, at_ns & UINT32_MAX, 4);
	put(&w, captured, 4);
	put(&w, bytes, 4);
	put_bytes(&w, data, captured);
	pad(&w);
	if (comment)
		put_option(&w, OPTION_COMMENT, comment, text_bytes(comment));
	return end(&w, comment);
}
