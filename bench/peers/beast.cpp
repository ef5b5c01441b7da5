/*
 * Stores every message of a WebSocket and a newline in a temporary file: Boost.Beast and stdio.
 *
 * A WebSocket stream of Beast reads from its socket what it needs next, often 1536 bytes. The
 * buffered stream between the two makes that 1 MiB, provided that its buffer is reserved first (it
 * reads into what is there, and begins with 512 bytes). It is the fastest way that the library has.
 *
 * usage: beast URL DIR
 *
 * Prints the number of messages and of payload bytes.
 */
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/core/buffered_read_stream.hpp>
#include <boost/beast/websocket.hpp>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;

constexpr std::size_t buffer_size = std::size_t{1} << 20;
constexpr std::uint64_t file_max = std::uint64_t{64} << 20;

using buffered_socket = beast::buffered_read_stream<tcp::socket, beast::flat_buffer>;

namespace boost {
namespace beast {
/* What websocket::stream asks of its next layer when it closes: the same as for the bare socket. */
void teardown(role_type role, buffered_socket &stream, error_code &error)
{
	websocket::teardown(role, stream.next_layer(), error);
}
}
}

[[noreturn]] static void fail(const char *what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

/* A temporary file that gives its space back whenever it has grown to file_max. */
class store {
public:
	explicit store(const std::string &directory)
	{
		std::string name = directory + "/peer-beast-XXXXXX";
		int fd = mkstemp(&name[0]);

		if (fd < 0)
			fail("mkstemp");
		unlink(name.c_str());
		file_.reset(fdopen(fd, "w"));
		if (!file_ || setvbuf(file_.get(), buffer_.data(), _IOFBF, buffer_.size()))
			fail("fdopen");
	}

	void add(const void *data, std::size_t size)
	{
		if (size && fwrite_unlocked(data, size, 1, file_.get()) != 1)
			fail("fwrite");
		if (putc_unlocked('\n', file_.get()) == EOF)
			fail("putc");
		messages_++;
		bytes_ += size;
		if (bytes_ >= start_over_at_)
			start_over();
	}

	void finish()
	{
		if (fflush(file_.get()))
			fail("fflush");
		std::cout << messages_ << ' ' << bytes_ << '\n';
	}

private:
	struct closer {
		void operator()(FILE *file) const { fclose(file); }
	};

	void start_over()
	{
		start_over_at_ = bytes_ + file_max;
		if (fseek(file_.get(), 0, SEEK_SET) || ftruncate(fileno(file_.get()), 0))
			fail("ftruncate");
	}

	std::vector<char> buffer_ = std::vector<char>(buffer_size);
	std::unique_ptr<FILE, closer> file_;
	std::uint64_t messages_ = 0;
	std::uint64_t bytes_ = 0;
	std::uint64_t start_over_at_ = file_max;
};

static void split_url(const std::string &url, std::string &host, std::string &port)
{
	const std::string scheme = "ws://";
	auto colon = url.find(':', scheme.size());
	auto slash = url.find('/', scheme.size());

	if (url.compare(0, scheme.size(), scheme) || colon == std::string::npos || slash < colon)
		throw std::invalid_argument("not ws://HOST:PORT/");
	host = url.substr(scheme.size(), colon - scheme.size());
	port = url.substr(colon + 1, slash - colon - 1);
}

static void receive(const std::string &url, store &store)
{
	std::string host, port;
	asio::io_context context;
	tcp::resolver resolver(context);
	websocket::stream<buffered_socket, false> stream(context);
	beast::flat_buffer buffer;
	beast::error_code error;

	split_url(url, host, port);
	asio::connect(stream.next_layer().next_layer(), resolver.resolve(host, port));
	stream.next_layer().capacity(buffer_size);
	stream.next_layer().buffer().reserve(buffer_size);
	stream.read_message_max(0);
	stream.handshake(host + ":" + port, "/");
	for (;;) {
		stream.read(buffer, error);
		if (error == websocket::error::closed)
			break;
		if (error)
			throw beast::system_error(error);
		store.add(buffer.data().data(), buffer.size());
		buffer.clear();
	}
}

int main(int argc, char **argv)
try {
	if (argc != 3)
		throw std::invalid_argument("usage: beast URL DIR");
	store store(argv[2]);

	receive(argv[1], store);
	store.finish();
	return 0;
} catch (const std::exception &error) {
	std::cerr << "beast: " << error.what() << '\n';
	return 1;
}
