/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * ESP (RFC 4303): the header in front of what is protected, the trailer behind it.
 *
 *   SPI 4, sequence number 4, IV | payload, padding 1, 2, 3, ..., pad length 1, next header 1 | ICV
 */
#ifndef WIRE_ESP_H
#define WIRE_ESP_H

#include "wire/load.h"
#include "wire/reason.h"

enum {
	WIRE_IPPROTO_ESP = 50,
	WIRE_ESP_BYTES = 8,         /* SPI and sequence number */
	WIRE_ESP_TRAILER_BYTES = 2, /* pad length and next header */
	WIRE_ESP_DUMMY = 59,        /* next header of a packet that says nothing (RFC 4303 2.6) */
};

struct wire_esp {
	u32 spi;
	u32 seq; /* the low half of an extended one */
};

/* WIRE_ESP_SHORT; WIRE_SPI_ZERO: 0, which no packet on a wire has (RFC 4303 2.1). */
enum wire_reason wire_esp_parse(const u8 *p, u32 len, struct wire_esp *ret_esp);

/* Writes WIRE_ESP_BYTES. */
void wire_esp_write(u8 *to, const struct wire_esp *esp);

/* Bytes of padding and trailer behind `len` bytes of payload, so that all together is a multiple of
 * `align` (a power of two, 4 at least). */
static inline u32 wire_esp_trailer_bytes(u32 len, u32 align)
{
	u32 pad = -(len + WIRE_ESP_TRAILER_BYTES) & (align - 1);

	return pad + WIRE_ESP_TRAILER_BYTES;
}

/* Writes `bytes` (wire_esp_trailer_bytes()) of padding and trailer. */
void wire_esp_trailer_write(u8 *to, u32 bytes, u8 next_header);

/*
 * Reads the trailer of what was deciphered, `len` bytes; *ret_len is the payload's length.
 * WIRE_ESP_SHORT; WIRE_ESP_PADDING: longer than the packet, or not 1, 2, 3, ... (RFC 4303 2.4).
 */
enum wire_reason wire_esp_trailer_parse(const u8 *p, u32 len, u32 *ret_len, u8 *ret_next_header);

#endif
