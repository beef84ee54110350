// It's a list (of names).
class Names(private val names: List<String> = listOf()) {
    fun report(limit: Int = 10): String {
        val found = names.take(limit).map { name -> "${name.trim()}: ${name.length} (${names.indexOf(name)})" }
        return found.joinToString(separator = ", ", prefix = "[") + ']' + '\''
    }
}
