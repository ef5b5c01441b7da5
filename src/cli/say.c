/*
 * One place writes to standard error, so that a status line that is redrawn in place and messages
 * that stay do not run into each other.
 */
#include "cli/say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define WIPE "\r\033[K"

static bool live; /* there is a status line on the screen */

__attribute__((format(printf, 2, 0))) static void say(const char *before, const char *format,
						      va_list arguments)
{
	say_live("");
	fputs(before, stderr);
	vfprintf(stderr, format, arguments);
	putc('\n', stderr);
}

void say_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("weir: ", format, arguments);
	va_end(arguments);
}

void say_hint(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("      ", format, arguments);
	va_end(arguments);
}

void say_live(const char *line)
{
	if (!live && !*line)
		return;
	fprintf(stderr, WIPE "%s", line);
	fflush(stderr);
	live = *line;
}
