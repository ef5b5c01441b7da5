/* Text as JSON has it. */
#ifndef WEIR_BASE_JSON_TEXT_H
#define WEIR_BASE_JSON_TEXT_H

#include <stdio.h>

/* Writes it as a JSON string, with the quotes. It may hold any bytes, as a path may; JSON may not:
 * what is no UTF-8 becomes U+FFFD. */
void json_text_write(FILE *to, const char *text);

#endif
