/* Text that somebody else sent, made safe to show to people. */
#ifndef WEIR_BASE_PRINTABLE_H
#define WEIR_BASE_PRINTABLE_H

#include <stddef.h>

/* Copies UTF-8 to `to`, which has room for `room` bytes with the NUL, and cuts it when it is
 * longer. Control characters, and what is no UTF-8, become question marks. */
void printable_copy(char *to, size_t room, const void *text, size_t size);

#endif
