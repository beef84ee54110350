# It's a list (of names).
class Names
  def initialize(names = [])
    @names = names.map { |name| name.strip }
  end

  def report(limit: 10)
    @names.first(limit).map do |name|
      "#{name.upcase}: #{name.length} (#{@names.index(name)})"
    end.join(", ")
  end
end
