/* Word by word, where no wider registers are known of. */
#include "base/ascii_common.h"

bool ascii_only(const uint8_t *text, size_t size)
{
	return ascii_short(text, size);
}
