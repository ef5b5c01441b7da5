/*
 * Secrets come from files and from the environment, never from arguments, which every user of the
 * machine can list. One that has a line break or a NUL in it is refused: inside a header it would
 * end the header, and what is cut at a NUL is another secret.
 */
#include "base/secret.h"

#include "base/io.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define LINE_ENDING_MAX 2

static size_t line_size(const char *data, size_t size)
{
	if (size == 0 || data[size - 1] != '\n')
		return size;
	return size > 1 && data[size - 2] == '\r' ? size - 2 : size - 1;
}

static bool has_break(const char *data, size_t size)
{
	return memchr(data, '\n', size) || memchr(data, '\r', size) || memchr(data, '\0', size);
}

int secret_from_bytes(const void *data, size_t size, struct secret *ret_secret)
{
	struct secret secret;

	secret.size = line_size(data, size);
	if (secret.size == 0)
		return -ENODATA;
	if (secret.size > SECRET_MAX)
		return -EFBIG;
	if (has_break(data, secret.size))
		return -EBADMSG;
	secret.text = malloc(secret.size + 1);
	if (!secret.text)
		return -ENOMEM;
	memcpy(secret.text, data, secret.size);
	secret.text[secret.size] = '\0';
	*ret_secret = secret;
	return 0;
}

int secret_read_file(int dir_fd, const char *path, struct secret *ret_secret)
{
	const size_t room = SECRET_MAX + LINE_ENDING_MAX + 1;
	CLEANUP_FREE char *data = malloc(room);
	ssize_t n;
	int r;

	if (!data)
		return -ENOMEM;
	n = io_read_file(dir_fd, path, data, room);
	r = n < 0 ? (int)n : secret_from_bytes(data, (size_t)n, ret_secret);
	explicit_bzero(data, room);
	return r;
}

int secret_read_env(const char *name, struct secret *ret_secret)
{
	const char *value = getenv(name);

	return value ? secret_from_bytes(value, strlen(value), ret_secret) : -ENOKEY;
}

void secret_done(struct secret *secret)
{
	if (secret->text)
		explicit_bzero(secret->text, secret->size);
	free(secret->text);
	*secret = (struct secret){0};
}

const char *secret_error_text(int error, char text[SECRET_TEXT_SIZE])
{
	const char *known = error == -ENODATA	? "is empty"
			    : error == -EFBIG	? "holds more than 64 KiB, which is no secret"
			    : error == -EBADMSG ? "holds more than one line, or a NUL"
			    : error == -ENOKEY	? "is not set"
						: NULL;

	if (known)
		snprintf(text, SECRET_TEXT_SIZE, "%s", known);
	else
		snprintf(text, SECRET_TEXT_SIZE, "cannot be read: %s", strerror(-error));
	return text;
}
