/*
 * Any text, cut anywhere, against a decoder that reads one character after the other and compares
 * numbers, as RFC 3629 has it. The first byte of the input says how large the pieces are.
 */
#include "base/macro.h"
#include "base/utf8.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many further bytes stand behind this one; 4: it begins nothing. */
static size_t further(uint8_t lead)
{
	if (lead < 0x80)
		return 0;
	if (lead < 0xc0 || lead > 0xf7)
		return 4;
	return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}

/* The size of the character that the text begins with; 0: it is none, or not whole. */
static size_t character(const uint8_t *text, size_t size)
{
	static const uint32_t lowest[] = {0, 0x80, 0x800, 0x10000};
	static const uint8_t bits[] = {0x7f, 0x1f, 0x0f, 0x07};
	size_t more = further(text[0]);
	uint32_t point;

	if (more > 3 || size < 1 + more)
		return 0;
	point = text[0] & bits[more];
	for (size_t i = 1; i <= more; i++) {
		if (text[i] >> 6 != 2)
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (point < lowest[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return 0;
	return 1 + more;
}

static bool is_whole_text(const uint8_t *text, size_t size)
{
	while (size > 0) {
		size_t length = character(text, size);

		if (length == 0)
			return false;
		text += length;
		size -= length;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	utf8_state state = UTF8_WHOLE;
	size_t step;
	bool whole;

	if (size < 1)
		return 0;
	step = (size_t)data[0] * 4 + 1;
	data++;
	size--;
	whole = is_whole_text(data, size);
	if ((utf8_validate(UTF8_WHOLE, data, size) == UTF8_WHOLE) != whole)
		abort();
	for (size_t at = 0; at < size; at += step)
		state = utf8_validate(state, data + at, MIN(step, size - at));
	if ((state == UTF8_WHOLE) != whole)
		abort();
	return 0;
}
