/*
 * A message says which option and which file or variable it was, never what was in it. Memory is
 * wiped before it is given back.
 */
#include "cli/secret.h"

#include "base/macro.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SECRET_MAX KIB(64)

/* Up to SECRET_MAX bytes; a file that has more is none of these. */
static ssize_t read_whole(int fd, char *to)
{
	size_t size = 0;
	ssize_t n = 1;

	while (n != 0 && size <= SECRET_MAX) {
		n = read(fd, to + size, SECRET_MAX + 1 - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		size += (size_t)n;
	}
	return (ssize_t)size;
}

/* Cuts off the line break. Whether what is left is one line, and something at all. */
static bool is_one_line(char *text, size_t size)
{
	if (size > 0 && text[size - 1] == '\n')
		size--;
	if (size > 0 && text[size - 1] == '\r')
		size--;
	text[size] = '\0';
	return size > 0 && size <= SECRET_MAX && strlen(text) == size &&
	       !text[strcspn(text, "\r\n")];
}

char *secret_read(const char *option, const char *path)
{
	CLEANUP(secret_free) char *text = calloc(1, SECRET_MAX + 2);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -errno : 0;

	if (text && fd >= 0)
		size = read_whole(fd, text);
	if (!text)
		say_error("out of memory");
	else if (size < 0)
		say_error("%s: cannot read %s: %s", option, path, strerror((int)-size));
	else if (!is_one_line(text, (size_t)size))
		say_error("%s: %s has to hold one line, and nothing else", option, path);
	else
		return TAKE_PTR(text);
	return NULL;
}

char *secret_take(const char *option, const char *name)
{
	const char *value = getenv(name);
	char *text;

	if (!value || !*value || value[strcspn(value, "\r\n")]) {
		say_error("%s: the environment has no %s, or it is not one line", option, name);
		return NULL;
	}
	text = strdup(value);
	if (!text)
		say_error("out of memory");
	return text;
}

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}
