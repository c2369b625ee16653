/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/esp.h"

enum wire_reason wire_esp_parse(const u8 *p, u32 len, struct wire_esp *ret_esp)
{
	if (len < WIRE_ESP_BYTES)
		return WIRE_ESP_SHORT;
	*ret_esp = (struct wire_esp){.spi = wire_get32(p), .seq = wire_get32(p + 4)};
	return ret_esp->spi ? WIRE_OK : WIRE_SPI_ZERO;
}

void wire_esp_write(u8 *to, const struct wire_esp *esp)
{
	wire_put32(to, esp->spi);
	wire_put32(to + 4, esp->seq);
}

void wire_esp_trailer_write(u8 *to, u32 bytes, u8 next_header)
{
	u32 pad = bytes - WIRE_ESP_TRAILER_BYTES;

	for (u32 i = 0; i < pad; i++)
		to[i] = (u8)(i + 1);
	to[pad] = (u8)pad;
	to[pad + 1] = next_header;
}

enum wire_reason wire_esp_trailer_parse(const u8 *p, u32 len, u32 *ret_len, u8 *ret_next_header)
{
	u32 pad, end;

	if (len < WIRE_ESP_TRAILER_BYTES)
		return WIRE_ESP_SHORT;
	end = len - WIRE_ESP_TRAILER_BYTES;
	pad = p[end];
	if (pad > end)
		return WIRE_ESP_PADDING;
	for (u32 i = 0; i < pad; i++) {
		if (p[end - pad + i] != (u8)(i + 1))
			return WIRE_ESP_PADDING;
	}
	*ret_len = end - pad;
	*ret_next_header = p[end + 1];
	return WIRE_OK;
}
